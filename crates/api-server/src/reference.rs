//! What describes the API: the document, a page to read it on, and a page for each kind of problem. All of it
//! is part of the program, and nothing on it is fetched from anywhere.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::web::{self, Bytes, Data, Path};
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

/// What describes the API, as it is served.
#[derive(Debug)]
pub struct Pages {
    document: Bytes,
    docs: Bytes,
}

impl Pages {
    /// The pages of an API, which are made once.
    fn of(api: &Api) -> &Self {
        api.pages.get_or_init(|| {
            let document = openapi::document(&api.base);
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
            Self {
                docs: render(&document, "Grantor management API", &links).into(),
                document: document.to_string().into(),
            }
        })
    }
}

async fn document(api: Data<Api>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .insert_header((CONTENT_SECURITY_POLICY, content_security_policy()))
        .content_type("application/json")
        .body(Pages::of(&api).document.clone())
}

async fn docs(api: Data<Api>) -> HttpResponse {
    page(Pages::of(&api).docs.clone())
}

async fn problems() -> HttpResponse {
    page(problem_index().into())
}

async fn problem(api: Data<Api>, code: Path<String>) -> HttpResponse {
    match problem_page(&code) {
        Some(html) => page(html.into()),
        None => Problem::NotFound.answer(&api.base),
    }
}

fn page(html: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .insert_header((CONTENT_SECURITY_POLICY, content_security_policy()))
        .insert_header(("Referrer-Policy", "no-referrer"))
        .content_type("text/html; charset=utf-8")
        .body(html)
}
