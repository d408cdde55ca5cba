//! The diagnosis on answers worked out by hand.

use super::*;

fn ln(ps: &[f64]) -> Vec<f64> {
    ps.iter().map(|p| p.ln()).collect()
}

/// Four candidates. The base model always says 0; the finetuned one, trained on 2 alone, 2.
struct Small {
    finetuned: Vec<f64>,
    base: Vec<f64>,
}

impl Small {
    fn new() -> Self {
        Self { finetuned: ln(&[0.2, 0.1, 0.6, 0.1]), base: ln(&[0.7, 0.1, 0.1, 0.1]) }
    }

    fn question<'a>(&'a self, gold: &'a [Candidate], outside: usize) -> Question<'a> {
        Question {
            candidates: self.base.len(),
            finetuned: &self.finetuned,
            base: &self.base,
            excluded: None,
            gold,
            outside,
            windows: None,
        }
    }
}

const BASE: &System<'static> = &|question| Mixture::of_probabilities(question.base.to_vec());
const FINETUNED: &System<'static> =
    &|question| Mixture::of_probabilities(question.finetuned.to_vec());

fn assert_close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}

#[test]
fn counts_by_hand() {
    let small = Small::new();
    let questions = [
        small.question(&[0], 0),
        small.question(&[0, 1], 0),
        small.question(&[2], 1),
        small.question(&[], 1),
        small.question(&[], 0),
    ];
    let relation = RelationAnswers {
        questions: &questions,
        training: &[0, 0, 3, 1],
        natural: None,
        sums: &|names| names.to_vec(),
        systems: vec![BASE, FINETUNED],
    };
    let seen = diagnose(&relation);
    assert_eq!((seen.summary.questions, seen.summary.outside), (4, 2));
    assert_eq!(seen.summary.training_facts, 4);
    assert_eq!(seen.answers[0].ranks, [Some(1), Some(1), Some(3), None]);
    assert_eq!(seen.answers[1].ranks, [Some(2), Some(2), Some(1), None]);
    seen.answers[1].evidence.iter().for_each(|known| assert_close(known.ln_share.exp(), 0.6));

    let entity = |at: usize| &seen.entities[at];
    assert_eq!(seen.entities.len(), 4);
    assert_eq!(entity(0).predicted, [4, 0]);
    assert_eq!(entity(2).predicted, [0, 4]);
    let gold: Vec<f64> = seen.entities.iter().map(|e| e.gold).collect();
    assert_eq!(gold, [1.5, 0.5, 0.5, 0.0]);
    assert_eq!((&entity(0).right[..], &entity(1).right[..]), (&[1.5, 0.0][..], &[0.5, 0.0][..]));
    assert_eq!(entity(2).right, [0.0, 0.5]);
    assert_close(entity(0).natural, 0.6);
    assert_close(entity(2).q_train, 0.75);
    assert_close(entity(0).base_prior, 0.7);
    assert_close(entity(0).finetuned_prior, 0.2);
    // (3 + 1/2)/(4 + 2) against (0.4 + 1/2)/(4 + 2).
    assert_close(entity(2).shock, (3.5_f64 / 0.9).ln());
    assert_close(entity(2).over_prediction(1), 4.5_f64.ln());
    assert_close(entity(0).over_prediction(0), (4.5_f64 / 2.0).ln());

    let bands = &seen.summary.bands;
    let counts = |band: &Band| (band.entities, band.gold, band.predicted.clone());
    assert_eq!(counts(&bands.seen[0]), (2, 0.5, vec![0, 4]));
    assert_eq!(counts(&bands.seen[1]), (2, 2.0, vec![4, 0]));
    assert_eq!(bands.seen[1].right, [2.0, 0.0], "the finetuned model knows nothing else");
    assert_eq!(counts(&bands.by_training[2]), (1, 0.5, vec![0, 4]));
    assert_eq!(counts(&bands.by_frequency[3]), (1, 0.0, vec![0, 0]));
    assert_eq!(counts(&bands.shock[0]), (3, 2.5, vec![4, 4]));
    assert_eq!(counts(&bands.shock[1]), (1, 0.0, vec![0, 0]));
    assert!(seen.summary.shock[0].unwrap().pearson < 0.0);
    assert!(seen.summary.shock[1].unwrap().pearson > 0.5);
}

#[test]
fn what_is_natural_may_be_known_from_elsewhere() {
    let small = Small::new();
    let questions = [small.question(&[1], 0)];
    let natural = [97, 3, 0, 0];
    let relation = RelationAnswers {
        questions: &questions,
        training: &[0, 0, 0, 0],
        natural: Some(&natural),
        sums: &|names| names.to_vec(),
        systems: vec![FINETUNED],
    };
    let seen = diagnose(&relation);
    let named: Vec<Candidate> = seen.entities.iter().map(|e| e.candidate).collect();
    assert_eq!(named, [1, 2], "named by gold and by a prediction");
    assert_close(seen.entities[0].natural, 0.03);
    assert!(seen.entities.iter().all(|e| e.shock == 0.0), "nothing was trained on");
    assert_eq!(seen.summary.shock, [None]);
    let shock = &seen.summary.bands.shock;
    assert_eq!((shock[1].entities, shock[2].entities), (0, 2));
}

#[test]
fn relations_add_up() {
    let small = Small::new();
    let questions = [small.question(&[0], 0), small.question(&[2], 0)];
    let relation = |training: &'static [u64]| RelationAnswers {
        questions: &questions,
        training,
        natural: None,
        sums: &|names| names.to_vec(),
        systems: vec![BASE, FINETUNED],
    };
    let relations = vec![diagnose(&relation(&[0, 0, 5, 0])), diagnose(&relation(&[5, 0, 0, 0]))];
    let all = Diagnosis::of(relations, 2);
    assert_eq!((all.summary.questions, all.summary.training_facts), (4, 10));
    for bands in [&all.summary.bands.seen, &all.summary.bands.by_training] {
        assert_close(bands.iter().map(|b| b.gold).sum(), 4.0);
        assert_eq!(bands.iter().map(|b| b.predicted[1]).sum::<usize>(), 4);
    }
    assert_eq!(all.summary.shock[0].unwrap().pairs, 4);
    let empty = Diagnosis::of(Vec::new(), 2);
    assert_eq!(empty.summary.shock, [None, None]);
}

#[test]
fn the_curve_goes_from_the_base_to_the_finetuned_model() {
    let small = Small::new();
    let questions = [small.question(&[0], 0), small.question(&[0], 0), small.question(&[2], 0)];
    let mix = |question: &Question<'_>, lambda: f64| {
        crate::shock::MixingRule::Linear { lambda }.mix_all(question.finetuned, question.base)
    };
    let curve = lambda_curve(&questions, &[0.0, 0.4, 0.6, 1.0], &mix);
    let right: Vec<usize> = curve.iter().map(|point| point.right).collect();
    // p(0) = 0.7 - λ/2 and p(2) = 0.1 + λ/2: the best changes at λ = 0.6.
    assert_eq!((right[0], right[1], right[3]), (2, 2, 1));
    assert!(curve.iter().all(|point| point.questions == 3));
    // Right twice, third once (of equals, the smaller index is first).
    assert_close(curve[0].reciprocal_ranks, 2.0 + 1.0 / 3.0);
}
