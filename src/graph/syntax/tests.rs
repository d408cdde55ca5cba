use super::*;
use proptest::prelude::*;

fn mistake(sparql: &str) -> SyntaxError {
    explain(SparqlEvaluator::new(), &Prefixes::common(), sparql)
}

/// Each `sparql` has one mistake, at the place of the `¦`.
#[test]
fn the_caret_is_under_the_mistake() {
    for (marked, message, help) in [
        ("¦", "the query ends too soon", None),
        ("SELECT¦", "the query ends too soon", None),
        ("¦SELCT ?s { ?s ?p ?o }", "`SELCT` cannot stand here", Some("did you mean SELECT?")),
        ("SELECT ?s\n¦WHER { ?s ?p ?o }", "`WHER` cannot stand here", Some("did you mean WHERE?")),
        ("SELECT * { ?s ?p ?o¦", "the query ends too soon", None),
        ("SELECT * { ?s ?p \"é한\" . } ¦}", "`}` cannot stand here", None),
        (
            "SELECT * { ?s ¦nix:y ?o }",
            "the prefix `nix:` is not declared",
            Some("begin the query with PREFIX nix: <...>"),
        ),
        (
            "SELECT * { ?s ?p ¦n:y }",
            "the prefix `n:` is not declared",
            Some("begin the query with PREFIX n: <...>"),
        ),
        (
            "SELECT * { ?s rdf:type ¦http://a.b/c }",
            "the prefix `http:` is not declared",
            Some("an IRI stands between < and >"),
        ),
        (
            "# x:y\n¦INSERT DATA { <a:a> <a:b> 1 }",
            "`INSERT` cannot stand here",
            Some("a store can be asked here, not changed: use SELECT, ASK, CONSTRUCT or DESCRIBE"),
        ),
        (
            "SELECT * { ?s ?p ?o } ORDER BY ?s ¦LIMT 3",
            "`LIMT` cannot stand here",
            Some("did you mean LIMIT?"),
        ),
        (
            "SELECT * {\n\t?s ?p ?o .\n\t¦FLITER(?o > 3)\n}",
            "`FLITER` cannot stand here",
            Some("did you mean FILTER?"),
        ),
    ] {
        let offset = marked.find('¦').unwrap();
        let sparql = marked.replace('¦', "");
        let error = mistake(&sparql);
        let expected = super::error(&sparql, offset, message.into(), help.map(str::to_owned));
        assert_eq!(error, expected, "{error}");
    }
}

#[test]
fn an_excerpt_aligns_the_caret_below_wide_letters_and_tabs() {
    let error = mistake("ASK {\n\t?s ?p \"한한\" n:o }");
    assert_eq!((error.line, error.column), (2, 13));
    assert_eq!(error.excerpt, "  |\n2 |  ?s ?p \"한한\" n:o }\n  |               ^");
}

#[test]
fn what_looks_like_a_prefix_in_texts_comments_and_iris_is_none() {
    let sparql =
        "SELECT * { _:a <x:y> 'n:o', \"\"\"a \" m:n\n\"\"\"@en, wd:a:b . ?x <y:z> $w # o:p\n }";
    let words = words(sparql);
    assert_eq!(undeclared_prefix(&Prefixes::common(), sparql, &words), None);
}

proptest! {
    #[test]
    fn any_text_gets_a_place_within_it(
        text in "(SELECT|ASK|PREFIX |wd:|#|\\?s|a:b|[{}<>:.é한\\n\\t \"'\\\\|~^@$]){0,14}"
    ) {
        let words = words(&text);
        prop_assert!(words.windows(2).all(|w| w[0].end < w[1].start));
        let error = mistake(&text);
        prop_assert!(error.line <= text.matches('\n').count() + 1);
        prop_assert!(error.excerpt.ends_with('^'));
    }
}
