//! The decision to issue a token for `client_credentials`, as an ordered list of gates.
//!
//! Each gate has its rule and its verdict; the first refusal decides the answer. The list is what an
//! explanation will be made from, so that what is explained and what is done can't differ.

use grantor_protocol::error::ErrorCode;
use grantor_protocol::grant_type::GrantType;
use grantor_protocol::scope::Scopes;

use crate::client::Client;
use crate::lifetime::AccessTokenLifetime;
use crate::openid::OpenIdScope;
use crate::resource_server::{Catalogue, Reach, TokenShape};
use crate::tenant::{Tenant, TenantStatus};

/// One condition on the way to a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// What is asked.
    pub name: &'static str,
    /// The rule that asks it.
    pub rule: &'static str,
    /// How it came out.
    pub verdict: Verdict,
}

/// How a gate came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Passed.
    Pass,
    /// Refused, with what the client is told.
    Refused {
        /// The OAuth error code.
        error: ErrorCode,
        /// A sentence that says the mend.
        description: String,
    },
}

/// What may be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuance {
    /// The scopes of the token.
    pub scopes: Scopes,
    /// Whom it is for.
    pub audiences: Vec<String>,
    /// How long it lives.
    pub lifetime: AccessTokenLifetime,
    /// What it looks like.
    pub shape: TokenShape,
}

/// A decision with the gates that led to it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The gates, up to the first refusal.
    pub gates: Vec<Gate>,
    /// What may be issued, if no gate refused.
    pub issuance: Option<Issuance>,
}

impl Decision {
    /// The refusal, if there is one.
    pub fn refusal(&self) -> Option<(ErrorCode, &str)> {
        self.gates.iter().find_map(|gate| match &gate.verdict {
            Verdict::Pass => None,
            Verdict::Refused { error, description } => Some((*error, description.as_str())),
        })
    }
}

/// Decides what an authenticated client gets for `client_credentials`.
pub fn decide_client_credentials(
    tenant: &Tenant,
    client: &Client,
    catalogue: &Catalogue,
    requested: Option<&Scopes>,
) -> Decision {
    let mut gates = Vec::with_capacity(7);
    let mut pass = |name, rule, verdict: Result<(), (ErrorCode, String)>| {
        let passed = verdict.is_ok();
        let verdict = match verdict {
            Ok(()) => Verdict::Pass,
            Err((error, description)) => Verdict::Refused { error, description },
        };
        gates.push(Gate {
            name,
            rule,
            verdict,
        });
        passed
    };

    let issuance = 'decided: {
        if !pass("tenant_active", "tenant_2", tenant_is_active(tenant))
            || !pass("client_active", "pause_2", client_is_active(client))
            || !pass("grant_allowed", "client_1", grant_is_allowed(client))
            || !pass(
                "scope_named",
                "client_11",
                scope_is_named(client, requested),
            )
        {
            break 'decided None;
        }
        let scopes = requested.unwrap_or(&client.settings.allowed_scopes);
        if !pass(
            "scopes_allowed",
            "client_11",
            scopes_are_allowed(client, scopes),
        ) {
            break 'decided None;
        }
        if !pass(
            "member_not_needed",
            "client_1",
            no_member_is_needed(requested),
        ) {
            break 'decided None;
        }
        // A scope that was removed from its resource server stays in the client's list without effect, and one
        // that tells of a member is for when there is one.
        let known: Scopes = catalogue
            .existing(scopes)
            .into_iter()
            .filter(|scope| OpenIdScope::parse(scope.as_str()).is_none())
            .collect();
        if !pass(
            "scopes_exist",
            "client_11",
            scopes_exist(scopes, &known, requested.is_some()),
        ) {
            break 'decided None;
        }
        let Reach {
            audiences,
            lifetime_cap,
            token_shape,
        } = catalogue.reach(&known);
        let own = client.settings.access_token_lifetime;
        let lifetime = lifetime_cap.map_or(own, |cap| own.min(cap));
        Some(Issuance {
            scopes: known,
            audiences,
            lifetime,
            shape: token_shape,
        })
    };
    Decision { gates, issuance }
}

type Checked = Result<(), (ErrorCode, String)>;

/// Whether a tenant and its client may do anything at all now: what every endpoint asks first.
pub fn check_standing(tenant: &Tenant, client: &Client) -> Result<(), (ErrorCode, String)> {
    tenant_is_active(tenant)?;
    client_is_active(client)
}

fn tenant_is_active(tenant: &Tenant) -> Checked {
    match tenant.status() {
        TenantStatus::Active => Ok(()),
        TenantStatus::Suspended => Err((
            ErrorCode::InvalidClient,
            "this tenant is suspended; ask its administrator".to_owned(),
        )),
    }
}

fn client_is_active(client: &Client) -> Checked {
    if client.suspension.is_suspended() {
        return Err((
            ErrorCode::InvalidClient,
            "this client is disabled; ask an administrator of its tenant to enable it".to_owned(),
        ));
    }
    Ok(())
}

fn grant_is_allowed(client: &Client) -> Checked {
    // RFC 6749 §5.2 unauthorized_client: the authenticated client is not authorized to use this grant.
    if client
        .settings
        .grant_types
        .contains(&GrantType::ClientCredentials)
    {
        return Ok(());
    }
    Err((
        ErrorCode::UnauthorizedClient,
        "this client is not registered for client_credentials".to_owned(),
    ))
}

fn scope_is_named(client: &Client, requested: Option<&Scopes>) -> Checked {
    if requested.is_some_and(|scopes| !scopes.is_empty())
        || !client.settings.require_requested_scopes
    {
        return Ok(());
    }
    Err((
        ErrorCode::InvalidScope,
        "name the scopes that you want in the parameter scope; this client gets none by default"
            .to_owned(),
    ))
}

fn scopes_are_allowed(client: &Client, scopes: &Scopes) -> Checked {
    let refused = scopes.difference(&client.settings.allowed_scopes);
    if refused.is_empty() {
        return Ok(());
    }
    Err((
        ErrorCode::InvalidScope,
        format!(
            "this client is not allowed the scope {refused}; ask for others or have it allowed"
        ),
    ))
}

fn no_member_is_needed(requested: Option<&Scopes>) -> Checked {
    let of_members: Scopes = requested
        .into_iter()
        .flatten()
        .filter(|scope| OpenIdScope::parse(scope.as_str()).is_some())
        .cloned()
        .collect();
    if of_members.is_empty() {
        return Ok(());
    }
    // OpenID Connect Core §3.1.2.1: these scopes ask for the authentication of an end-user, and here is none.
    Err((
        ErrorCode::InvalidScope,
        format!(
            "the scope {of_members} needs a member, and this client acts for itself; leave it out"
        ),
    ))
}

fn scopes_exist(asked: &Scopes, known: &Scopes, by_name: bool) -> Checked {
    let gone = asked.difference(known);
    if by_name && !gone.is_empty() {
        let sentence = format!("the scope {gone} does not exist any more; leave it out");
        return Err((ErrorCode::InvalidScope, sentence));
    }
    if known.is_empty() {
        let sentence = "this client has no scope to get; have some allowed to it first";
        return Err((ErrorCode::InvalidScope, sentence.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::client;
    use crate::ids::{OrganizationId, TenantId};
    use crate::resource_server::tests::{billing, catalogue, orders};
    use crate::resource_server::{SigningAlgorithm, Verification};
    use crate::suspension::{Pause, Suspension};
    use crate::text::OrganizationName;
    use chrono::DateTime;
    use grantor_protocol::issuer::Issuer;
    use uuid::Uuid;

    fn tenant() -> Tenant {
        Tenant {
            id: TenantId::from_uuid(Uuid::from_u128(1)),
            name: OrganizationName::parse("Acme").unwrap(),
            issuer: Issuer::parse("https://login.example/t/1").unwrap(),
            is_platform: false,
            root_organization: OrganizationId::from_uuid(Uuid::from_u128(3)),
            revision: 1,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            suspension: Suspension::default(),
        }
    }

    fn paused() -> Suspension {
        Suspension {
            by_tenant: Some(Pause {
                since: DateTime::UNIX_EPOCH,
                reason: None,
            }),
            ..Suspension::default()
        }
    }

    fn decide(tenant: &Tenant, client: &Client, requested: Option<&str>) -> Decision {
        let catalogue = catalogue([orders(Verification::Introspection, Some(900)), billing()]);
        let requested = requested.map(|text| Scopes::parse(text).unwrap());
        decide_client_credentials(tenant, client, &catalogue, requested.as_ref())
    }

    fn error(decision: &Decision) -> Option<ErrorCode> {
        decision.refusal().map(|(error, _)| error)
    }

    #[test]
    fn what_is_allowed_and_asked_for_is_issued() {
        let decision = decide(
            &tenant(),
            &client("orders.api:read orders.api:write"),
            Some("orders.api:read"),
        );
        assert_eq!(decision.refusal(), None);
        let issuance = decision.issuance.unwrap();
        assert_eq!(issuance.scopes.to_string(), "orders.api:read");
        assert_eq!(issuance.audiences, ["https://orders.example"]);
        assert_eq!(
            issuance.lifetime.seconds(),
            900,
            "the resource server's cap is the lower one"
        );
    }

    #[test]
    fn client_11_a_request_without_scope_is_refused_unless_an_admin_cleared_the_box() {
        let mut client = client("orders.api:read orders.api:write");
        assert_eq!(
            error(&decide(&tenant(), &client, None)),
            Some(ErrorCode::InvalidScope)
        );
        client.settings.require_requested_scopes = false;
        let all = decide(&tenant(), &client, None).issuance.unwrap();
        assert_eq!(all.scopes.to_string(), "orders.api:read orders.api:write");
    }

    #[test]
    fn a_scope_beyond_the_allowed_ones_is_refused_not_dropped() {
        let decision = decide(
            &tenant(),
            &client("orders.api:read"),
            Some("orders.api:read orders.api:write"),
        );
        assert_eq!(error(&decision), Some(ErrorCode::InvalidScope));
        assert!(decision.refusal().unwrap().1.contains("orders.api:write"));
        assert_eq!(decision.issuance, None);
    }

    #[test]
    fn a_scope_that_is_gone_from_the_catalogue_is_refused_by_name_and_skipped_by_default() {
        let mut client = client("orders.api:read orders.api:gone");
        assert_eq!(
            error(&decide(&tenant(), &client, Some("orders.api:gone"))),
            Some(ErrorCode::InvalidScope)
        );
        client.settings.require_requested_scopes = false;
        assert_eq!(
            decide(&tenant(), &client, None)
                .issuance
                .unwrap()
                .scopes
                .to_string(),
            "orders.api:read"
        );
    }

    #[test]
    fn what_tells_of_a_member_is_refused_by_name_and_left_out_by_default() {
        let mut client = client("openid email orders.api:read");
        let refused = decide(&tenant(), &client, Some("openid orders.api:read"));
        assert_eq!(error(&refused), Some(ErrorCode::InvalidScope));
        assert!(refused.refusal().unwrap().1.contains("needs a member"));
        client.settings.require_requested_scopes = false;
        let issuance = decide(&tenant(), &client, None).issuance.unwrap();
        assert_eq!(issuance.scopes.to_string(), "orders.api:read");
        client.settings.allowed_scopes = Scopes::parse("openid").unwrap();
        assert_eq!(
            error(&decide(&tenant(), &client, None)),
            Some(ErrorCode::InvalidScope)
        );
    }

    #[test]
    fn token_6_what_is_issued_has_the_shape_of_its_resource_servers() {
        let client = client("orders.api:read billing:pay");
        let issued = |asked| decide(&tenant(), &client, Some(asked)).issuance.unwrap();
        let signed = TokenShape::Signed(SigningAlgorithm::Es256);
        assert_eq!(issued("orders.api:read").shape, signed);
        let mixed = issued("orders.api:read billing:pay");
        assert_eq!(mixed.shape, TokenShape::Opaque);
        assert_eq!(mixed.lifetime.seconds(), 120);
    }

    #[test]
    fn tenant_2_and_pause_2_suspension_issues_nothing() {
        let client = client("orders.api:read");
        let suspended = Tenant {
            suspension: paused(),
            ..tenant()
        };
        assert_eq!(
            error(&decide(&suspended, &client, Some("orders.api:read"))),
            Some(ErrorCode::InvalidClient)
        );
        let disabled = Client {
            suspension: paused(),
            ..client
        };
        assert_eq!(
            error(&decide(&tenant(), &disabled, Some("orders.api:read"))),
            Some(ErrorCode::InvalidClient)
        );
    }

    #[test]
    fn a_client_without_the_grant_is_unauthorized() {
        let mut client = client("orders.api:read");
        client.settings.grant_types.clear();
        assert_eq!(
            error(&decide(&tenant(), &client, Some("orders.api:read"))),
            Some(ErrorCode::UnauthorizedClient)
        );
    }

    #[test]
    fn gates_come_in_order_and_end_at_the_first_refusal() {
        let names = |decision: &Decision| {
            decision
                .gates
                .iter()
                .map(|gate| gate.name)
                .collect::<Vec<_>>()
        };
        let good = decide(
            &tenant(),
            &client("orders.api:read"),
            Some("orders.api:read"),
        );
        assert_eq!(
            names(&good),
            [
                "tenant_active",
                "client_active",
                "grant_allowed",
                "scope_named",
                "scopes_allowed",
                "member_not_needed",
                "scopes_exist"
            ]
        );
        let refused = decide(&tenant(), &client("orders.api:read"), None);
        assert_eq!(
            names(&refused),
            [
                "tenant_active",
                "client_active",
                "grant_allowed",
                "scope_named"
            ]
        );
    }
}
