//! What goes wrong when a part of the graph is written already: that part stays, and the run goes
//! on from it once the cause is mended.

use crate::model;
use crate::workplace::{RUN, Workplace};

/// Enough for three chunks, the last of which asks for what the others do not.
fn three_chunks(at: &Workplace) {
    at.many_subjects(150);
}

/// The graph of a run that nothing disturbed.
fn undisturbed(prepare: impl Fn(&Workplace)) -> Vec<String> {
    let at = Workplace::new();
    prepare(&at);
    at.done(RUN);
    at.graph()
}

#[test]
fn nan_from_a_model_keeps_the_chunks_before_it() {
    let at = Workplace::new();
    three_chunks(&at);
    // Chunk 2 holds subjects 128 to 149: spoil a token that only they need.
    let table = at.read("subjects.csv").replace("Country 14", "Country ~14");
    at.write("subjects.csv", table);
    at.write(
        "world.ttl",
        at.read("world.ttl").replace("The capital of [X] is [Y].", "The capital of [X][Y]."),
    );
    let _ = model::VOCABULARY;
    let ended = at.kgbuild(RUN);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}
