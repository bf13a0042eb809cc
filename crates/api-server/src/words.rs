//! The words of the API: named enums on the wire, each made from the domain's own.

use std::borrow::Cow;

use grantor_domain::permission::Permission;
use grantor_domain::{
    client, client_secret, failure, limits, member, ownership, resource_server, tenant,
};
use grantor_protocol::{auth_method, grant_type};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:tt),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        pub enum $name { $($(#[$of])* #[serde(rename = $word)] $variant),* }

        impl $name {
            /// All the words.
            pub const WORDS: &[&str] = &[$($word),*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // By way of a text, so that a number in its place is a wrong type and not a fault of syntax.
                match String::deserialize(deserializer)?.as_str() {
                    $($word => Ok(Self::$variant),)*
                    other => Err(D::Error::unknown_variant(other, Self::WORDS)),
                }
            }
        }
    )*};
}

words! {
    /// Where a limit comes from.
    LimitSource {
        /// It is the client's own.
        Client = "client",
        /// It is the tenant's, for every client without one of its own.
        Tenant = "tenant",
        /// Operators allow no more, whatever else is set.
        Operator = "operator",
    }
    /// Why an attempt of a client failed.
    FailureKind {
        /// By a secret that is not one of its own.
        BadSecret = "bad_secret",
        /// From an address that is not one of its `allowed_ips`.
        RefusedIp = "refused_ip",
        /// By another method than its `token_endpoint_auth_method`.
        WrongMethod = "wrong_method",
        /// While it was disabled, or its tenant suspended.
        Disabled = "disabled",
        /// With a grant that it may not use, or that is not good.
        BadGrant = "bad_grant",
        /// For a scope that it may not have.
        RefusedScope = "refused_scope",
        /// With something else that was wrong.
        BadRequest = "bad_request",
        /// Faster than it may get tokens.
        RateLimit = "rate_limit",
        /// With as many live tokens as it may have.
        LiveTokenLimit = "live_token_limit",
    }
    /// What to do when one of many fails.
    OnFailure {
        /// Go on with the next.
        Continue = "continue",
        /// Leave out what follows.
        Stop = "stop",
    }
    /// What becomes of a member who leaves.
    Departure {
        /// They are deleted for good.
        Delete = "delete",
        /// They are disabled until enabled again.
        Disable = "disable",
    }
    /// What became of a member who left.
    MemberFate {
        /// They were deleted for good.
        Deleted = "deleted",
        /// They are disabled until enabled again.
        Disabled = "disabled",
    }
    /// Whether a client may act.
    ClientStatus {
        /// It may.
        Active = "active",
        /// It is disabled until enabled again.
        Disabled = "disabled",
    }
    /// Whether a client can keep a secret.
    ClientType {
        /// It can, and authenticates.
        Confidential = "confidential",
        /// It can't, and only names itself.
        Public = "public",
    }
    /// What kind of program a client is.
    ClientProfile {
        /// A web application with a server of its own.
        Web = "web",
        /// An application that runs in a browser.
        Spa = "spa",
        /// A program on somebody's device.
        Native = "native",
        /// A machine that acts for itself.
        Service = "service",
    }
    /// Where a secret comes from.
    SecretOrigin {
        /// It was made here, of 256 random bits.
        Generated = "generated",
        /// Somebody chose it.
        Chosen = "chosen",
    }
    /// Whether a secret proves its client.
    SecretState {
        /// It does.
        Live = "live",
        /// Its time is over.
        Expired = "expired",
        /// It was revoked, or rotated away.
        Revoked = "revoked",
    }
    /// Whether a token is good at this moment.
    TokenState {
        /// It is.
        Active = "active",
        /// It is not while its client or its member is disabled, and will be again when they are enabled.
        Sleeping = "sleeping",
        /// It is not while none of its scopes is allowed.
        Powerless = "powerless",
    }
    /// What came of removing a token.
    Removal {
        /// It was removed.
        Removed = "removed",
        /// There is no live token with this id there.
        NotFound = "not_found",
    }
    /// How urgent it is to replace a secret.
    DueWhy {
        /// Whoever owned its client, or made it, has seen it and should not any more.
        Exposed = "exposed",
        /// Nobody is known to have seen it.
        Precaution = "precaution",
    }
    /// Why a client changed hands.
    TransferCause {
        /// An administrator handed it over.
        Transferred = "transferred",
        /// Its owner was deleted.
        OwnerDeleted = "owner_deleted",
        /// Its owner was disabled.
        OwnerDisabled = "owner_disabled",
        /// Its owner left the root organization.
        OwnerLeft = "owner_left",
        /// Its owner does not administer the organization any more in which it lives.
        RightsLost = "rights_lost",
    }
    /// What to do with many clients.
    ClientsAction {
        /// Disable them.
        Disable = "disable",
        /// Enable them.
        Enable = "enable",
        /// Delete them for good.
        Delete = "delete",
    }
    /// What becomes of a member who is offboarded.
    Offboarded {
        /// They are deleted for good.
        Delete = "delete",
        /// They are disabled, and stay.
        Disable = "disable",
    }
    /// A grant of OAuth 2.
    GrantType {
        /// The client acts for itself.
        ClientCredentials = "client_credentials",
        /// A member lets the client act for them.
        AuthorizationCode = "authorization_code",
        /// The client goes on acting for them.
        RefreshToken = "refresh_token",
    }
    /// How a client authenticates at the token server.
    TokenEndpointAuthMethod {
        /// By the header `Authorization: Basic`.
        ClientSecretBasic = "client_secret_basic",
        /// By fields of the form.
        ClientSecretPost = "client_secret_post",
        /// Not at all: it is public.
        None = "none",
    }
    /// Whose pause it is.
    PausedBy {
        /// Somebody of the tenant.
        Tenant = "tenant",
        /// An operator.
        Operator = "operator",
    }
    /// How a link gets to its member.
    LinkDelivery {
        /// By mail to the member's address.
        Mail = "mail",
        /// It is shown in the answer, to be handed over.
        Show = "show",
    }
    /// Whether a member may sign in and act.
    MemberStatus {
        /// They may.
        Active = "active",
        /// They are disabled until enabled again.
        Disabled = "disabled",
    }
    /// Whether a tenant may act.
    TenantStatus {
        /// It may.
        Active = "active",
        /// It issues nothing and takes no change.
        Suspended = "suspended",
    }
    /// How a resource server checks tokens.
    Verification {
        /// It asks the token server about each: a pause or a revocation is seen at once.
        Introspection = "introspection",
        /// It verifies signatures alone: a pause is seen when the token expires, in 10 minutes at most.
        Signature = "signature",
    }
    /// What the tokens of a resource server look like.
    TokenFormat {
        /// Signed (RFC 9068): it can be read.
        Jwt = "jwt",
        /// Random: it tells nothing.
        Opaque = "opaque",
    }
    /// With what the tokens of a resource server are signed (RFC 7518, RFC 8037).
    SigningAlgorithm {
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
        /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
        Rs256 = "RS256",
    }
    /// Whose a scope is.
    ScopeKind {
        /// OpenID Connect's: it tells of a member.
        Oidc = "oidc",
        /// The management API's.
        Management = "management",
        /// A platform-wide resource server's.
        Platform = "platform",
        /// A resource server's of the tenant's own.
        Private = "private",
    }
}

impl From<Departure> for MemberFate {
    fn from(departure: Departure) -> Self {
        match departure {
            Departure::Delete => Self::Deleted,
            Departure::Disable => Self::Disabled,
        }
    }
}

macro_rules! from_domain {
    ($($name:ident from $domain:path { $($variant:ident),* $(,)? })*) => {$(
        impl From<$domain> for $name {
            fn from(word: $domain) -> Self {
                use $domain as Domain;
                match word { $(Domain::$variant => Self::$variant),* }
            }
        }
    )*};
}

from_domain! {
    ClientStatus from client::ClientStatus { Active, Disabled }
    ClientType from client::ClientType { Confidential, Public }
    ClientProfile from client::ClientProfile { Web, Spa, Native, Service }
    LimitSource from limits::SetBy { Client, Tenant, Operator }
    FailureKind from failure::FailureKind {
        BadSecret, RefusedIp, WrongMethod, Disabled, BadGrant, RefusedScope, BadRequest, RateLimit, LiveTokenLimit,
    }
    SecretOrigin from client_secret::SecretOrigin { Generated, Chosen }
    SecretState from client_secret::SecretState { Live, Expired, Revoked }
    DueWhy from ownership::DueWhy { Exposed, Precaution }
    TransferCause from ownership::TransferCause { Transferred, OwnerDeleted, OwnerDisabled, OwnerLeft, RightsLost }
    GrantType from grant_type::GrantType { ClientCredentials, AuthorizationCode, RefreshToken }
    TokenEndpointAuthMethod from auth_method::TokenEndpointAuthMethod { ClientSecretBasic, ClientSecretPost, None }
    MemberStatus from member::MemberStatus { Active, Disabled }
    TenantStatus from tenant::TenantStatus { Active, Suspended }
    Verification from resource_server::Verification { Introspection, Signature }
    TokenFormat from resource_server::TokenFormat { Jwt, Opaque }
    SigningAlgorithm from resource_server::SigningAlgorithm { Es256, EdDsa, Rs256 }
}

macro_rules! into_domain {
    ($($name:ident into $domain:path { $($variant:ident),* $(,)? })*) => {$(
        impl From<$name> for $domain {
            fn from(word: $name) -> Self {
                use $domain as Domain;
                match word { $($name::$variant => Domain::$variant),* }
            }
        }
    )*};
}

into_domain! {
    ClientType into client::ClientType { Confidential, Public }
    ClientProfile into client::ClientProfile { Web, Spa, Native, Service }
    GrantType into grant_type::GrantType { ClientCredentials, AuthorizationCode, RefreshToken }
    TokenEndpointAuthMethod into auth_method::TokenEndpointAuthMethod { ClientSecretBasic, ClientSecretPost, None }
    Verification into resource_server::Verification { Introspection, Signature }
    TokenFormat into resource_server::TokenFormat { Jwt, Opaque }
    SigningAlgorithm into resource_server::SigningAlgorithm { Es256, EdDsa, Rs256 }
}

/// The schema of the name of a permission: one of the catalogue.
#[derive(Debug)]
pub struct PermissionName;

impl PartialSchema for PermissionName {
    fn schema() -> RefOr<Schema> {
        let names: Vec<_> = Permission::ALL.iter().map(|one| one.as_str()).collect();
        let described: Map<String, Value> = Permission::ALL
            .iter()
            .map(|one| (one.as_str().to_owned(), json!(one.description())))
            .collect();
        let schema = json!({
            "type": "string",
            "description": "What a caller may do. As the scope of a token, `grantor:` stands before it.",
            "enum": names,
            "x-enum-descriptions": described,
        });
        serde_json::from_value(schema).unwrap_or_default()
    }
}

impl ToSchema for PermissionName {
    fn name() -> Cow<'static, str> {
        "Permission".into()
    }
}
