//! What the service is and where its parts are.

use std::cmp::Reverse;

use oxigraph::store::Store;
use serde_json::{Value, json};

use super::batch::QUERIES;
use super::item;
use crate::graph::{self, described};

/// Identifiers are whole IRIs, which RFC 3987 says what they are.
const IDENTIFIERS: &str = "urn:ietf:rfc:3987";
/// What entities are.
const ENTITIES: &str = "http://www.w3.org/2000/01/rdf-schema#Resource";
/// How many classes are offered: those of most entities.
const CLASSES: usize = 10;
/// Pixels of a preview.
const WIDTH: u32 = 430;
const HEIGHT: u32 = 300;

/// The service's manifest, for a client that reaches the server at `base`.
///
/// # Errors
/// Where the graph cannot be read.
pub(super) fn manifest(store: &Store, base: &str) -> Result<Value, graph::Error> {
    let classes = described(store)?.unwrap_or_default().by_class;
    let mut classes: Vec<_> =
        classes.into_iter().map(|(iri, count)| (Reverse(count), iri)).collect();
    classes.sort_unstable();
    let types = classes.iter().take(CLASSES).map(|(_, iri)| item(store, iri));
    let types = types.collect::<Result<Vec<_>, _>>()?;
    let service = format!("{base}/reconcile");
    let template = |path: &str| format!("{base}{path}={{{{id}}}}");
    let suggest =
        |kind: &str| json!({ "service_url": &service, "service_path": format!("/suggest/{kind}") });
    Ok(json!({
        "versions": ["0.2"],
        "name": "Knowledge graph by kgbuild",
        "identifierSpace": IDENTIFIERS,
        "schemaSpace": ENTITIES,
        "serviceVersion": env!("CARGO_PKG_VERSION"),
        "batchSize": QUERIES,
        "defaultTypes": types,
        "view": { "url": template("/entity?iri") },
        "preview": {
            "url": template("/reconcile/preview?id"),
            "width": WIDTH,
            "height": HEIGHT,
        },
        "suggest": {
            "entity": suggest("entity"),
            "type": suggest("type"),
            "property": suggest("property"),
        },
        "extend": {
            "propose_properties": { "service_url": &service, "service_path": "/properties" },
            "property_settings": [],
        },
    }))
}
