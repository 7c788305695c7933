//! `infra/openapi.yaml` against the code, both ways: every route with its right, and every problem there is.

use crate::{files, none, root};
use sluice_tests::stack::contract::Contract;
use std::collections::{BTreeMap, BTreeSet};

/// A route as the document writes it: what stands for a slash at the end is one.
fn written(route: &str) -> String {
    route.replace("{slash+}", "")
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let template = std::fs::read_to_string(root().join("infra/template.yaml")).unwrap();
    let routed = template.lines().filter_map(|line| line.trim().strip_prefix("RouteKey: "));
    // Whatever has no route is no call that could be described.
    let routed = routed.filter(|route| *route != serve_console::ELSEWHERE);
    let routed: BTreeSet<String> = routed.map(written).collect();
    let described: BTreeSet<String> =
        Contract::get().operations().into_iter().map(|(route, _)| route).collect();
    let mut wrong: Vec<String> =
        routed.difference(&described).map(|route| format!("{route}: not described")).collect();
    wrong.extend(described.difference(&routed).map(|route| format!("{route}: there is no such route")));
    none("routes that the template and the document do not share", wrong);
}

#[test]
fn every_call_of_the_api_says_which_right_it_asks_for() {
    let rights: BTreeMap<&str, &str> =
        serve_console::ROUTES.iter().map(|route| (route.name, route.right.name())).collect();
    let mut ids = BTreeSet::new();
    let mut wrong = Vec::new();
    for (route, operation) in Contract::get().operations() {
        let right = operation["x-right"].as_str();
        if right != rights.get(route.as_str()).copied() {
            wrong.push(format!("{route}: {right:?}"));
        }
        let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
        if is_open == right.is_some() {
            wrong.push(format!("{route}: whether it needs a token is not said"));
        }
        if !ids.insert(operation["operationId"].as_str().unwrap_or_default().to_owned()) {
            wrong.push(format!("{route}: its operationId is that of another"));
        }
        let named = route.matches('{').count();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        if parameters.filter(|parameter| parameter["in"] == "path").count() != named {
            wrong.push(format!("{route}: its placeholders are not described"));
        }
    }
    none("calls that are not as the code has them", wrong);
}

#[test]
fn the_document_has_every_problem_and_no_other() {
    let problems =
        &Contract::get().document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"];
    let problems = problems.as_array().into_iter().flatten().filter_map(|problem| problem.as_str());
    let described: BTreeSet<&str> =
        problems.filter_map(|problem| problem.strip_prefix("urn:sluice:problem:")).collect();
    let sources = ["functions", "shared"].map(|folder| files(&root().join(folder))).concat();
    let sources = sources.iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    let text: String = sources.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let unknown = described.iter().filter(|name| !text.contains(&format!("\"{name}\"")));
    let mut wrong: Vec<String> = unknown.map(|name| format!("{name}: nobody names it")).collect();
    // `Problem::new(422, "name", …)`: those whose name stands there.
    let made = text.split("Problem::new(").skip(1).filter_map(|call| {
        let (_, rest) = call.split_once(',')?;
        rest.trim_start().strip_prefix('"')?.split_once('"').map(|(name, _)| name)
    });
    let missing: BTreeSet<&str> =
        made.chain(named_with_a_sentence(&text)).filter(|name| !described.contains(name)).collect();
    wrong.extend(missing.iter().map(|name| format!("{name}: not described")));
    none("problems that the code and the document do not share", wrong);
}

/// `("name", "What happened.")`: what a problem is made of elsewhere, in a table or by a closure.
fn named_with_a_sentence(text: &str) -> impl Iterator<Item = &str> {
    text.split('(').filter_map(|call| {
        let (name, rest) = call.trim_start().strip_prefix('"')?.split_once('"')?;
        let (detail, _) = rest.strip_prefix(',')?.trim_start().strip_prefix('"')?.split_once('"')?;
        let is_name =
            name.contains('-') && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        (is_name && detail.contains(' ') && detail.ends_with('.')).then_some(name)
    })
}

#[test]
fn a_name_beside_a_sentence_is_that_of_a_problem() {
    let text = r#"Wrong => ("signature-wrong", "It does not match."), .with_header("x-a", "GET, POST"), refused(
        "token-old",
        "It is too old.")"#;
    assert_eq!(named_with_a_sentence(text).collect::<Vec<_>>(), ["signature-wrong", "token-old"]);
}
