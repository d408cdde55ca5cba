//! The IRIs that the graph is written with: the `kgb:` vocabulary, defined for people in
//! `ontologies/kgb.ttl`, and the few of PROV-O, OWL, SKOS, VoID, DCAT and SHACL that are used.

use oxigraph::model::NamedNodeRef;

/// The namespace of `kgb:`.
pub const NAMESPACE: &str = "https://w3id.org/kgbuild#";

/// The namespace of `prov:`, the PROV ontology.
pub const PROV: &str = "http://www.w3.org/ns/prov#";

/// The namespace of `sh:`, the Shapes Constraint Language.
pub const SH: &str = "http://www.w3.org/ns/shacl#";

/// The namespace of `void:`, the Vocabulary of Interlinked Datasets.
pub const VOID: &str = "http://rdfs.org/ns/void#";

/// The namespace of `dcat:`, the Data Catalog Vocabulary.
pub const DCAT: &str = "http://www.w3.org/ns/dcat#";

/// The namespace of `dcterms:`, the terms of Dublin Core.
pub const DCTERMS: &str = "http://purl.org/dc/terms/";

macro_rules! terms {
    ($namespace:literal: $($(#[$doc:meta])* $name:ident = $local:literal;)*) => {
        $($(#[$doc])* pub const $name: NamedNodeRef<'static> =
            NamedNodeRef::new_unchecked(concat!($namespace, $local));)*
    };
}

terms! { "https://w3id.org/kgbuild#":
    /// On a relation: a template, one per value.
    TEMPLATE = "template";
    /// On a relation: a question, one per value.
    QUESTION = "question";
    /// On a relation: how many objects a subject has at most.
    MAX_OBJECTS = "maxObjects";
    /// On a relation: the smallest value that an object may be.
    MINIMUM = "minimum";
    /// On a relation: the largest.
    MAXIMUM = "maximum";
    /// On a relation: how many digits after the point its values have at most.
    DECIMALS = "decimals";
    /// On a relation: within which share of the true number another is right.
    TOLERANCE = "tolerance";
    /// On a relation: how little may be known of its dates.
    PRECISION = "precision";
    /// On a relation: what its numbers count.
    UNIT = "unit";

    /// On a reifier: the confidence in the triple.
    CONFIDENCE = "confidence";
    /// On a reifier: the corrected probability of the object, before calibration.
    CORRECTED_PROBABILITY = "correctedProbability";
    /// On a reifier: the finetuned model's probability of the object.
    FINETUNED_PROBABILITY = "finetunedProbability";
    /// On a reifier: the base model's probability of the object.
    BASE_PROBABILITY = "baseProbability";
    /// On a reifier: the least value that may be the true one, so that the object is right.
    LOWER = "lower";
    /// On a reifier: the greatest.
    UPPER = "upper";
    /// On a reifier: that the object has no name of its own among the candidates.
    AMBIGUOUS = "ambiguous";
    /// On a reifier: that the triple was known, and others follow from it.
    KNOWN = "known";

    /// On a reifier: that a person judged the triple to be right.
    JUDGED = "judged";
    /// The named graph of what people say of facts.
    JUDGEMENTS = "judgements";
    /// The named graph of what was predicted of facts that are judged, as it was.
    PREDICTED = "predicted";
    /// The class of judgements.
    JUDGEMENT = "Judgement";
    /// On a judgement: what is said of the fact.
    VERDICT = "verdict";
    /// On a judgement of a fact that is wrong: the object that is right.
    RIGHT_OBJECT = "rightObject";
    /// On a judgement: who judged.
    JUDGED_BY = "judgedBy";
    /// On a judgement: how the fact was chosen to be judged.
    DRAWN = "drawn";

    /// The class of runs.
    RUN = "Run";
    /// On a run: a hash of all that its result depends on.
    SIGNATURE = "signature";
    /// On a run: the source of the base model, as configured.
    BASE_MODEL = "baseModel";
    /// On a run: the SHA-256 of the base model.
    BASE_MODEL_SHA256 = "baseModelSha256";
    /// On a run: the source of the finetuned model, as configured.
    FINETUNED_MODEL = "finetunedModel";
    /// On a run: the SHA-256 of the finetuned model.
    FINETUNED_MODEL_SHA256 = "finetunedModelSha256";
    /// On a run: the SHA-256 of its configuration.
    CONFIG_SHA256 = "configSha256";
    /// On a run: the mixing weight, the share of the finetuned model.
    LAMBDA = "lambda";
    /// On a run: the name of the correction.
    CORRECTION = "correction";
    /// On a run: in what the models' weights were kept, where that was chosen.
    MODEL_PRECISION = "modelPrecision";
    /// On a run: the SHA-256 of the tuned numbers that its confidences are calibrated by.
    TUNED_SHA256 = "tunedSha256";
    /// On a run: the version of kgbuild.
    VERSION = "version";

    /// The class of ledgers.
    LEDGER_CLASS = "Ledger";
    /// The named graph that holds the ledger.
    LEDGER = "ledger";
    /// The named graph that holds what the ontology says of relations and classes.
    SCHEMA = "schema";
    /// The named graph that describes the graph by VoID and DCAT.
    DESCRIPTION = "description";
    /// The named graph that has the runs that made the graph what it is.
    HISTORY = "history";
    /// The class of runs that changed a graph.
    CHANGE = "Change";
    /// In the history: the number of a change, from 1; on a judgement: its own.
    NUMBER = "number";
    /// In the history: the run that made a change.
    OF_RUN = "ofRun";
    /// In the history and the ledger: why a change was made; beside what was taken back, why.
    REASON = "reason";
    /// In the history: the named graph of what was added.
    ADDED = "added";
    /// In the history: the named graph of what was taken back.
    TAKEN_BACK = "takenBack";
    /// In the history: the named graph of the schema before a change, where it was another.
    SCHEMA_BEFORE = "schemaBefore";
    /// In the history: how many facts the graph had after a change.
    FACTS = "facts";
    /// In the history: how many of these were new.
    FACTS_ADDED = "factsAdded";
    /// In the history: how many facts were taken back.
    FACTS_TAKEN_BACK = "factsTakenBack";
    /// In the history: of how many facts something else was said.
    FACTS_CHANGED = "factsChanged";
    /// In the ledger: the parts of a run's signature as a JSON object.
    SIGNATURE_PARTS = "signatureParts";
    /// In the ledger: whether the run got to its end.
    COMPLETE = "complete";
    /// In the ledger: the relation of a chunk.
    RELATION = "relation";
    /// In the ledger: which chunks of a relation are done, and what was counted of them, as JSON.
    PROGRESS = "progress";
    /// In the ledger: the best candidates of a chunk's questions, written or not, as JSON.
    CANDIDATES = "candidates";
    /// In the ledger: of which questions and prompts a chunk has kept answers, as bytes.
    KEPT_QUESTIONS = "keptQuestions";
    /// In the ledger: what the models answered to them, as bytes.
    KEPT_ANSWERS = "keptAnswers";
    /// In the ledger, of itself: what is kept beside chunks.
    KEEPS = "keeps";
    /// In the ledger: which part of a job's questions a run asks, and how many there are, as JSON.
    SHARD = "shard";
    /// In the ledger: which parts of a job a graph was merged of, where that is not all.
    SHARDS = "shards";
    /// In the ledger: on what device a run's models were asked, by which program.
    ASKED_ON = "askedOn";
    /// In the ledger: a hash of the models' mean predictions that a run went by.
    MEANS_SHA256 = "meansSha256";
}

terms! { "http://www.w3.org/ns/prov#":
    /// `prov:Activity`
    PROV_ACTIVITY = "Activity";
    /// `prov:wasGeneratedBy`
    WAS_GENERATED_BY = "wasGeneratedBy";
    /// `prov:wasDerivedFrom`
    WAS_DERIVED_FROM = "wasDerivedFrom";
    /// `prov:generatedAtTime`
    GENERATED_AT_TIME = "generatedAtTime";
    /// `prov:startedAtTime`
    STARTED_AT_TIME = "startedAtTime";
    /// `prov:endedAtTime`
    ENDED_AT_TIME = "endedAtTime";
}

terms! { "http://www.w3.org/2002/07/owl#":
    /// `owl:Class`
    OWL_CLASS = "Class";
    /// `owl:ObjectProperty`
    OBJECT_PROPERTY = "ObjectProperty";
    /// `owl:DatatypeProperty`
    DATATYPE_PROPERTY = "DatatypeProperty";
    /// `owl:FunctionalProperty`
    FUNCTIONAL_PROPERTY = "FunctionalProperty";
    /// `owl:IrreflexiveProperty`
    IRREFLEXIVE_PROPERTY = "IrreflexiveProperty";
    /// `owl:Thing`
    THING = "Thing";
    /// `owl:sameAs`
    SAME_AS = "sameAs";
    /// `owl:unionOf`
    UNION_OF = "unionOf";
    /// `owl:oneOf`
    ONE_OF = "oneOf";
}

terms! { "http://www.w3.org/2004/02/skos/core#":
    /// `skos:altLabel`
    ALT_LABEL = "altLabel";
}

terms! { "http://rdfs.org/ns/void#":
    /// `void:Dataset`
    VOID_DATASET = "Dataset";
    /// `void:triples`
    TRIPLES = "triples";
    /// `void:entities`
    ENTITIES = "entities";
    /// `void:classes`
    CLASSES = "classes";
    /// `void:properties`
    PROPERTIES = "properties";
    /// `void:propertyPartition`
    PROPERTY_PARTITION = "propertyPartition";
    /// `void:property`
    PROPERTY = "property";
    /// `void:classPartition`
    CLASS_PARTITION = "classPartition";
    /// `void:class`
    CLASS = "class";
}

terms! { "http://www.w3.org/ns/dcat#":
    /// `dcat:Dataset`
    DCAT_DATASET = "Dataset";
}

terms! { "http://purl.org/dc/terms/":
    /// `dcterms:title`
    TITLE = "title";
}

terms! { "http://www.w3.org/ns/shacl#":
    /// `sh:NodeShape`
    NODE_SHAPE = "NodeShape";
    /// `sh:PropertyShape`
    PROPERTY_SHAPE = "PropertyShape";
    /// `sh:targetSubjectsOf`
    TARGET_SUBJECTS_OF = "targetSubjectsOf";
    /// `sh:property`
    SHAPE_PROPERTY = "property";
    /// `sh:path`
    PATH = "path";
    /// `sh:zeroOrOnePath`
    ZERO_OR_ONE_PATH = "zeroOrOnePath";
    /// `sh:name`
    SHAPE_NAME = "name";
    /// `sh:class`
    SHAPE_CLASS = "class";
    /// `sh:or`
    OR = "or";
    /// `sh:nodeKind`
    NODE_KIND = "nodeKind";
    /// `sh:IRI`
    KIND_IRI = "IRI";
    /// `sh:datatype`
    SHAPE_DATATYPE = "datatype";
    /// `sh:minInclusive`
    MIN_INCLUSIVE = "minInclusive";
    /// `sh:maxInclusive`
    MAX_INCLUSIVE = "maxInclusive";
    /// `sh:pattern`
    PATTERN = "pattern";
    /// `sh:in`
    IN = "in";
    /// `sh:maxCount`
    MAX_COUNT = "maxCount";
    /// `sh:disjoint`
    DISJOINT = "disjoint";
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxigraph::model::vocab::{rdf, rdfs};
    use rio_api::parser::TriplesParser as _;
    use std::collections::{BTreeMap, BTreeSet};

    /// Every term of this file, read from its own text, so that none can be forgotten.
    fn declared() -> BTreeSet<String> {
        let source = include_str!("vocabulary.rs");
        let kgb = source.split("terms! {").nth(1).unwrap_or_default();
        let kgb = kgb.split("terms! {").next().unwrap_or_default();
        kgb.lines()
            .filter_map(|line| line.trim().strip_suffix("\";")?.split(" = \"").nth(1))
            .map(|local| format!("{NAMESPACE}{local}"))
            .collect()
    }

    #[test]
    fn ontology_and_constants_name_the_same_terms() {
        let text = include_str!("../../ontologies/kgb.ttl");
        let mut properties: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        rio_turtle::TurtleParser::new(text.as_bytes(), None)
            .parse_all(&mut |t| -> Result<(), rio_turtle::TurtleError> {
                let subject = t.subject.to_string();
                let subject = subject.trim_matches(['<', '>']).to_owned();
                properties.entry(subject).or_default().insert(t.predicate.iri.to_owned());
                Ok(())
            })
            .unwrap();
        let defined: BTreeSet<String> =
            properties.keys().filter(|iri| iri.starts_with(NAMESPACE)).cloned().collect();
        assert_eq!(defined, declared());
        assert!(declared().len() > 20, "the list above lost its terms");
        for (iri, properties) in properties.iter().filter(|(iri, _)| iri.starts_with(NAMESPACE)) {
            for needed in [rdf::TYPE, rdfs::LABEL, rdfs::COMMENT, rdfs::IS_DEFINED_BY] {
                assert!(properties.contains(needed.as_str()), "{iri} lacks {needed}");
            }
        }
    }
}
