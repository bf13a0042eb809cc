//! A problem of each kind, as the document shows it.

use std::net::IpAddr;

use grantor_domain::permission::Permission;
use serde_json::{Map, Value, json};

use crate::problem::{FieldFault, Problem};
use crate::requests::BODY_LIMIT;
use crate::secrets;

/// A problem of each kind, as it would be answered.
pub(super) fn examples(base: &str) -> Map<String, Value> {
    let fault = || FieldFault::pointer("/name", "must not be empty");
    let confirm = FieldFault::parameter(
        "confirm_name",
        "must be the client's name, exactly; nothing was deleted",
    );
    [
        Problem::MalformedJson("expected `,` or `}` (line 1, column 12)".to_owned()),
        Problem::InvalidCursor,
        Problem::InvalidIdempotencyKey,
        Problem::no_token(),
        Problem::Forbidden(Permission::ClientsRead),
        Problem::AddressNotAllowed(Some(IpAddr::from([203, 0, 113, 7]))),
        Problem::NotFound,
        Problem::Conflict(FieldFault::pointer(
            "/key",
            "is another resource server's already",
        )),
        Problem::RootOwner,
        Problem::not_empty("1 business group and 3 clients"),
        Problem::QuotaReached {
            what: "organizations",
            limit: 1_000,
        },
        Problem::PublicClient,
        Problem::TooManySecrets(secrets::REVOKE_ONE),
        Problem::PlatformTenant,
        Problem::PositionExpired,
        Problem::PreconditionFailed {
            current: "\"4\"".to_owned(),
        },
        Problem::TooLarge { limit: BODY_LIMIT },
        Problem::UnsupportedMediaType(&["application/json"]),
        Problem::InvalidFields(vec![fault()]),
        Problem::ConfirmationMismatch(confirm),
        Problem::IdempotencyKeyReused,
        Problem::TooManyRequests {
            retry_after_seconds: 7,
        },
        Problem::Internal,
        Problem::Unavailable,
    ]
    .into_iter()
    .map(|problem| {
        let code = problem.code();
        let body = serde_json::to_value(problem.body(base)).unwrap_or_default();
        (
            code.as_str().to_owned(),
            json!({ "summary": code.title(), "value": body }),
        )
    })
    .collect()
}
