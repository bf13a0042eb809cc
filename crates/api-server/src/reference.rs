//! What describes the API: the document, a page to read it on, and a page for each kind of problem. All of it
//! is part of the program, and nothing on it is fetched from anywhere.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::web::{self, Data, Path};
use actix_web::{HttpResponse, guard};
use grantor_reference::{Link, content_security_policy, problem_index, problem_page, render};

use crate::problem::Problem;
use crate::{Api, openapi};

/// Adds the pages to a router.
pub fn configure(config: &mut web::ServiceConfig) {
    for (path, handler) in [
        ("/openapi.json", web::to(document)),
        ("/docs", web::to(docs)),
        ("/problems", web::to(problems)),
        ("/problems/{code}", web::to(problem)),
    ] {
        let only_get = handler.guard(guard::Get());
        config.service(web::resource(path).route(only_get).default_service(web::to(
            |api: Data<Api>| async move {
                Problem::MethodNotAllowed(vec!["GET".to_owned()]).answer(&api.base)
            },
        )));
    }
}

async fn document(api: Data<Api>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .content_type("application/json")
        .body(openapi::document(&api.base).to_string())
}

async fn docs(api: Data<Api>) -> HttpResponse {
    let links = [
        Link {
            text: "The document as JSON",
            address: "/openapi.json",
        },
        Link {
            text: "What can go wrong",
            address: "/problems",
        },
    ];
    let document = openapi::document(&api.base);
    page(render(&document, "Grantor management API", &links))
}

async fn problems() -> HttpResponse {
    page(problem_index())
}

async fn problem(api: Data<Api>, code: Path<String>) -> HttpResponse {
    match problem_page(&code) {
        Some(html) => page(html),
        None => Problem::NotFound.answer(&api.base),
    }
}

fn page(html: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .insert_header((CONTENT_SECURITY_POLICY, content_security_policy()))
        .insert_header(("Referrer-Policy", "no-referrer"))
        .content_type("text/html; charset=utf-8")
        .body(html)
}
