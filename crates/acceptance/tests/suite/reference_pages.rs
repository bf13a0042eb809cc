//! The pages that describe the API: there for everybody, whole, and without anything from elsewhere.

use grantor_acceptance::{Answer, World};
use grantor_api_server::problem::ProblemCode;

use crate::operations::{Scene, expect_problem};

/// Every page there is.
fn pages() -> Vec<String> {
    let codes = ProblemCode::ALL
        .iter()
        .map(|code| format!("/problems/{}", code.as_str()));
    ["/docs", "/problems", "/openapi.json"]
        .map(str::to_owned)
        .into_iter()
        .chain(codes)
        .collect()
}

/// The values of an attribute in a page, with the name of the element that it stands in.
fn attributes<'p>(page: &'p str, name: &str) -> Vec<(&'p str, &'p str)> {
    let mut found = Vec::new();
    for element in page.split('<').skip(1) {
        let element = element.split('>').next().unwrap_or_default();
        let kind = element.split_whitespace().next().unwrap_or_default();
        for part in element.split(&format!(" {name}=\"")).skip(1) {
            found.push((kind, part.split('"').next().unwrap_or_default()));
        }
    }
    found
}

fn get(world: &World, path: &str) -> Answer {
    world.http.get(&world.api(path), &[])
}

#[test]
fn every_page_is_there_and_lets_nothing_be_loaded() {
    let world = World::new();
    for path in pages() {
        let page = get(&world, &path);
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        let policy = page.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-inline"), "{path}: {policy}");
        assert!(!policy.contains("http"), "{path}: {policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("set-cookie"), None);
        if path == "/openapi.json" {
            assert_eq!(page.header("content-type"), Some("application/json"));
            continue;
        }
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{path}"
        );
        let html = &page.body;
        for element in [
            "<script", "<iframe", "<object", "<embed", "<base", "<img", "@import", "url(",
        ] {
            assert!(!html.contains(element), "{path} has {element}");
        }
        for name in [
            "src",
            "srcset",
            "action",
            "formaction",
            "poster",
            "data",
            "background",
        ] {
            assert_eq!(attributes(html, name), [], "{path}");
        }
        // What is loaded by an address would be a `link`; prose may lead elsewhere.
        for (element, address) in attributes(html, "href") {
            assert_eq!(element, "a", "{path}: {address}");
            assert!(!address.starts_with("//"), "{path}: {address}");
            assert!(!address.starts_with("javascript:"), "{path}: {address}");
        }
    }
}

#[test]
fn links_within_the_pages_lead_somewhere() {
    let world = World::new();
    let mut followed = 0;
    for path in pages().into_iter().filter(|path| path != "/openapi.json") {
        let page = get(&world, &path);
        for (_, address) in attributes(&page.body, "href") {
            if let Some(anchor) = address.strip_prefix('#') {
                let decoded = anchor.replace("%7B", "{").replace("%7D", "}");
                let named = format!("id=\"{decoded}\"");
                assert!(
                    anchor.is_empty() || page.body.contains(&named),
                    "{path}: {address}"
                );
            } else if address.starts_with('/') {
                let there = get(&world, address.split('#').next().unwrap());
                assert_eq!(there.status, 200, "{path}: {address}");
                followed += 1;
            }
        }
    }
    assert!(followed > 20, "{followed} links");
}

#[test]
fn head_answers_like_get_without_the_body() {
    let world = World::new();
    for path in pages() {
        let whole = get(&world, &path);
        let head = world.http.send("HEAD", &world.api(&path), &[], b"");
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.body, "", "{path}");
        for name in [
            "content-type",
            "content-length",
            "content-security-policy",
            "cache-control",
        ] {
            assert_eq!(head.header(name), whole.header(name), "{path}: {name}");
        }
    }
}

#[test]
fn what_is_no_page_is_404_and_other_methods_are_405() {
    let world = World::new();
    for path in [
        "/problems/no-such-code",
        "/problems/Invalid-Field",
        "/problems/invalid-field/",
        "/problems/..%2f..%2fetc%2fpasswd",
        "/problems/%3Cscript%3E",
        "/problems/invalid-field.md",
        "/docs/",
        "/openapi.yaml",
        "/",
    ] {
        let answer = get(&world, path);
        expect_problem(&world, &answer, 404, "not-found");
        assert!(!answer.body.contains("script"), "{}", answer.body);
    }
    for path in ["/docs", "/problems", "/problems/internal", "/openapi.json"] {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let answer = world.http.send(method, &world.api(path), &[], b"");
            expect_problem(&world, &answer, 405, "method-not-allowed");
            let allowed = answer.header("allow").unwrap();
            assert!(allowed.contains("GET"), "{allowed}");
        }
    }
}

#[test]
fn the_type_of_a_problem_leads_to_its_page() {
    let scene = Scene::new();
    let world = &scene.world;
    let met = [
        world.http.get(&scene.url("/clients"), &[]),
        scene.call("GET", "/clients/x", ""),
        scene.call("GET", "/clients?cursor=x", ""),
        scene.call("GET", "/clients?limit=x", ""),
        scene.call("POST", "/clients", "{"),
        scene.call("PUT", "/clients", ""),
    ];
    let mut kinds = Vec::new();
    for answer in met {
        let kind = answer.text("/type");
        let page = world.http.get(&kind, &[]);
        assert_eq!(page.status, 200, "{kind}");
        assert!(page.body.contains(&answer.text("/code")), "{kind}");
        kinds.push(kind);
    }
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}
