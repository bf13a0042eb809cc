//! Every operation of the API, declared once: the router and the OpenAPI document are made from one list.

use std::rc::Rc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ResourceDef, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::problem::Problem;
use crate::{Api, audit_events, client_state, clients, secrets, tenants};

macro_rules! operations {
    ($($operation:path),* $(,)?) => {
        /// Adds every operation to a router.
        pub fn configure(config: &mut web::ServiceConfig) {
            config.app_data(Offered::new());
            config.service(
                web::scope("")
                    .wrap(from_fn(absolute_problem_types))
                    $(.service($operation))*
                    .default_service(web::to(unmatched)),
            );
        }

        #[derive(OpenApi)]
        #[openapi(
            paths($($operation),*),
            modifiers(&Bearer),
            info(
                title = "Grantor management API",
                description = "Manage the OAuth clients that may touch an organisation's data.",
                license(name = "Apache-2.0", identifier = "Apache-2.0")
            ),
            tags(
                (name = "Tenants", description = "The customer organisations, for operators."),
                (name = "Clients", description = "What holds OAuth credentials in a tenant."),
                (name = "Secrets", description = "The credentials of confidential clients."),
                (name = "Audit", description = "The log of record.")
            )
        )]
        struct Document;
    };
}

operations![
    tenants::create,
    tenants::list,
    tenants::read,
    clients::create,
    clients::list,
    clients::read,
    clients::delete,
    client_state::disable,
    client_state::enable,
    secrets::rotate,
    audit_events::list,
];

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "An access token of Grantor's own token server, with the audience urn:grantor:api.",
            ))
            .build();
        if let Some(components) = document.components.as_mut() {
            components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        }
    }
}

/// The OpenAPI document of the API.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// A problem that came about where the API's address is not at hand has a relative type; here it is made
/// absolute.
async fn absolute_problem_types(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let base = request
        .app_data::<web::Data<Api>>()
        .map(|api| api.base.clone())
        .unwrap_or_default();
    let response = next.call(request).await?.map_into_boxed_body();
    let answer = response
        .response()
        .error()
        .and_then(|error| error.as_error::<Problem>())
        .map(|problem| problem.answer(&base));
    Ok(match answer {
        Some(answer) => response.into_response(answer),
        None => response,
    })
}

/// Which methods each path offers, for telling 405 from 404.
#[derive(Clone)]
struct Offered(Rc<[(ResourceDef, Vec<&'static str>)]>);

impl Offered {
    fn new() -> Self {
        let paths = document().paths.paths;
        Self(
            paths
                .iter()
                .map(|(pattern, item)| {
                    let operations = [
                        ("GET", &item.get),
                        ("POST", &item.post),
                        ("PUT", &item.put),
                        ("PATCH", &item.patch),
                        ("DELETE", &item.delete),
                    ];
                    let methods = operations
                        .into_iter()
                        .filter(|(_, operation)| operation.is_some())
                        .map(|(method, _)| method)
                        .collect();
                    (ResourceDef::new(pattern.as_str()), methods)
                })
                .collect(),
        )
    }
}

/// What no operation matched: 405 where another method is offered on the path, else 404.
async fn unmatched(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let offered = request.app_data::<Offered>().ok_or(Problem::NotFound)?;
    let matching = offered
        .0
        .iter()
        .find(|(pattern, _)| pattern.is_match(request.path()));
    Err(match matching {
        Some((_, methods)) => {
            Problem::MethodNotAllowed(methods.iter().map(ToString::to_string).collect())
        }
        None => Problem::NotFound,
    })
}
