//! Every operation of the API, and the router that is made of their declarations.

use std::collections::BTreeMap;
use std::rc::Rc;

use actix_web::http::Method;
use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};

use crate::operation::Operation;
use crate::problem::Problem;
use crate::{
    Api, audit_events, bulk, changes, client_state, clients, incoming, me, members, organizations,
    ownership, reference, resource_servers, roles, secrets, settings, tenants, tokens,
};

/// Every operation, in the order of the reference.
pub fn operations() -> Vec<Operation> {
    [
        me::operations(),
        tenants::operations(),
        settings::operations(),
        organizations::operations(),
        members::operations(),
        roles::operations(),
        clients::operations(),
        client_state::operations(),
        secrets::operations(),
        tokens::operations(),
        ownership::operations(),
        resource_servers::operations(),
        bulk::operations(),
        changes::operations(),
        audit_events::operations(),
    ]
    .concat()
}

/// Adds every operation to a router, and what describes them.
pub fn configure(config: &mut web::ServiceConfig) {
    let mut paths: BTreeMap<&'static str, Vec<Operation>> = BTreeMap::new();
    for operation in operations() {
        paths
            .entry(operation.facts.path)
            .or_default()
            .push(operation);
    }
    for (path, mut operations) in paths {
        operations.sort_by_key(|operation| operation.facts.method.to_string());
        let allowed: Rc<[Method]> = operations
            .iter()
            .map(|operation| operation.facts.method.clone())
            .collect();
        let mut resource = web::resource(path);
        for operation in operations {
            let method = operation.facts.method.clone();
            resource = resource.route(web::method(method).to(
                move |api: web::Data<Api>, request: HttpRequest, payload: Payload| {
                    serve(operation.clone(), api, request, payload)
                },
            ));
        }
        config.service(
            resource.default_service(web::to(move |api: web::Data<Api>| {
                let allowed = allowed.iter().map(ToString::to_string).collect();
                let answer = Problem::MethodNotAllowed(allowed).answer(&api.base);
                async move { answer }
            })),
        );
    }
    reference::configure(config);
    config.default_service(web::to(|api: web::Data<Api>| {
        let answer = Problem::NotFound.answer(&api.base);
        async move { answer }
    }));
}

async fn serve(
    operation: Operation,
    api: web::Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let base = api.base.clone();
    incoming::answer(&operation, Api::clone(&api), request, payload.into_inner())
        .await
        .unwrap_or_else(|problem| {
            debug_assert!(problem.status_code().as_u16() >= 400);
            problem.answer(&base)
        })
}
