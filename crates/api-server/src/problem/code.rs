//! The kinds of problem: each with a stable word, its status, and a page in `docs/problems`.

use serde::Serialize;
use utoipa::ToSchema;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $status:literal $word:tt $title:literal;)*) => {
        /// What kind of problem it is, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
        pub enum ProblemCode { $($(#[doc = $doc])* #[serde(rename = $word)] $name),* }

        impl ProblemCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word in `code`, and at the end of `type`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// The HTTP status that it comes with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// The same in a few words, for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    /// The body can't be read as JSON.
    MalformedJson = 400 "malformed-json" "The body is not readable as JSON";
    /// The cursor is not one of this list.
    InvalidCursor = 400 "invalid-cursor" "The cursor is not valid";
    /// The `Idempotency-Key` is not one.
    InvalidIdempotencyKey = 400 "invalid-idempotency-key" "The Idempotency-Key is not valid";
    /// No token, or one that is not good.
    Unauthenticated = 401 "unauthenticated" "A valid access token is needed";
    /// A permission or its scope is missing.
    Forbidden = 403 "forbidden" "A permission is missing";
    /// The client may not come from this address.
    AddressNotAllowed = 403 "address-not-allowed" "The client may not come from this address";
    /// No such thing, or another tenant's.
    NotFound = 404 "not-found" "There is no such thing";
    /// The path has other methods.
    MethodNotAllowed = 405 "method-not-allowed" "This method is not offered here";
    /// Something with this name or key exists already.
    Conflict = 409 "conflict" "It would stand in the way of something that exists";
    /// The root owner of a tenant can't be lost.
    RootOwner = 409 "root-owner" "The root ownership must be handed over first";
    /// Something still lies in it, or rests on it.
    NotEmpty = 409 "not-empty" "Something still hangs on it";
    /// A public client has no secret.
    PublicClient = 409 "public-client" "A public client has no secret";
    /// As many secrets of the client are live as may be.
    TooManySecrets = 409 "too-many-secrets" "The client has as many secrets as it may";
    /// The tenant of the operators can be neither suspended nor deleted.
    PlatformTenant = 409 "platform-tenant" "The platform tenant stays as it is";
    /// The tenant has as many of these as it may.
    QuotaReached = 409 "quota-reached" "The tenant's quota is reached";
    /// The change feed does not reach back so far.
    PositionExpired = 410 "position-expired" "The feed does not reach back so far";
    /// `If-Match` names another state than the present one.
    PreconditionFailed = 412 "precondition-failed" "It was changed since you read it";
    /// The body is too large.
    TooLarge = 413 "too-large" "The body is too large";
    /// The body is not said to be of a type that is taken here.
    UnsupportedMediaType = 415 "unsupported-media-type" "The body is of the wrong type";
    /// Fields or parameters are at fault.
    InvalidField = 422 "invalid-field" "Something given is not valid";
    /// The name typed to confirm is another.
    ConfirmationMismatch = 422 "confirmation-mismatch" "The name typed to confirm is another";
    /// The `Idempotency-Key` came with another request before.
    IdempotencyKeyReused = 422 "idempotency-key-reused" "The Idempotency-Key was used for another request";
    /// Too many requests came from this address or caller.
    TooManyRequests = 429 "too-many-requests" "Too many requests";
    /// A defect of ours.
    Internal = 500 "internal" "Something of ours failed";
    /// PostgreSQL can't answer now, or not in time.
    Unavailable = 503 "unavailable" "The service can't answer now";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_own_word() {
        let mut words: Vec<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ProblemCode::ALL.len());
    }
}
