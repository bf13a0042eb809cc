//! How much a tenant may have, for operators to say.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::limits::Limited;
use grantor_domain::permission::Permission;
use grantor_domain::quota::{Counted, Quotas};
use grantor_storage::{Change, Reads, Scope, quotas, tenants};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::find_for_change;
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop};
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{Fields, Whole};

const QUOTAS: &str = "/v1/tenants/{tenant}/quotas";

/// How many of each kind a tenant may have, and how much of two things each of its clients. `null`, or absent: as many as any
/// tenant for which nothing is said.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Quotas, example = json!({ "clients": 500, "members": 20_000 }))]
pub struct QuotasShape {
    /// Organizations, the root among them.
    #[schema(minimum = 1, maximum = 10_000)]
    organizations: Option<i64>,
    /// Members.
    #[schema(minimum = 1, maximum = 10_000_000)]
    members: Option<i64>,
    /// Clients.
    #[schema(minimum = 1, maximum = 10_000_000)]
    clients: Option<i64>,
    /// The tenant's own resource servers.
    #[schema(minimum = 1, maximum = 500)]
    resource_servers: Option<i64>,
    /// Roles of its own.
    #[schema(minimum = 1, maximum = 1_000)]
    roles: Option<i64>,
    /// Tokens in a minute, the most that a single client can be given.
    #[schema(minimum = 1, maximum = 6_000_000)]
    client_tokens_per_minute: Option<i64>,
    /// Live access tokens, the most that a single client can be given.
    #[schema(minimum = 1, maximum = 1_000_000)]
    client_max_live_tokens: Option<i64>,
}

impl QuotasShape {
    fn verified(&self) -> Result<Quotas, Problem> {
        let (mut fields, mut quotas) = (Fields::default(), Quotas::default());
        for counted in Counted::ALL {
            let limit = match counted {
                Counted::Organizations => self.organizations,
                Counted::Members => self.members,
                Counted::Clients => self.clients,
                Counted::ResourceServers => self.resource_servers,
                Counted::Roles => self.roles,
            };
            if let Err(error) = quotas.decide(*counted, limit) {
                fields.fault(&format!("/{}", counted.as_str()), error);
            }
        }
        for (limited, bound) in [
            (Limited::TokensPerMinute, self.client_tokens_per_minute),
            (Limited::LiveTokens, self.client_max_live_tokens),
        ] {
            if let Err(error) = quotas.client_limits.set(limited, bound) {
                fields.fault(&format!("/client_{}", limited.as_str()), error);
            }
        }
        if fields.is_empty() {
            Ok(quotas)
        } else {
            Err(fields.into_problem())
        }
    }
}

impl From<&Quotas> for QuotasShape {
    fn from(quotas: &Quotas) -> Self {
        let bound = |limited| quotas.client_limits.get(limited).map(i64::from);
        Self {
            organizations: quotas.decided(Counted::Organizations),
            members: quotas.decided(Counted::Members),
            clients: quotas.decided(Counted::Clients),
            resource_servers: quotas.decided(Counted::ResourceServers),
            roles: quotas.decided(Counted::Roles),
            client_tokens_per_minute: bound(Limited::TokensPerMinute),
            client_max_live_tokens: bound(Limited::LiveTokens),
        }
    }
}

/// The operations on a tenant's quotas.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("readQuotas", QUOTAS)
            .about(
                Tag::Tenants,
                "Read a tenant's quotas",
                "Those that were decided for this tenant; `null` where it may have as many as any. Its settings show \
                 how much it may have in effect, and how much it has.",
            )
            .needs_on_any_tenant(Permission::TenantsRead)
            .answers::<QuotasShape>(Success::Ok)
            .tagged()
            .by(read),
        Operation::put("replaceQuotas", QUOTAS)
            .about(
                Tag::Tenants,
                "Replace a tenant's quotas",
                "What is absent is as for any tenant. A tenant that has more than it may keeps it, and gets nothing \
                 more of the kind. Limits of clients above what they may have now count as that much, at once.",
            )
            .needs_on_any_tenant(Permission::TenantsWrite)
            .conditional()
            .takes::<Whole<QuotasShape>>()
            .answers::<QuotasShape>(Success::Ok)
            .tagged()
            .records(&[Action::TenantUpdated])
            .by(replace),
    ]
}

/// The quotas as they stand. Their state is told by the tenant's: every change of them raises its revision.
fn shown(tx: &mut impl Reads, acting: &Acting) -> Result<Answer<QuotasShape>, Stop> {
    let tenant = tenants::find(tx, acting.tenant)?.ok_or(Problem::NotFound)?;
    let quotas = quotas::find(tx, tenant.id)?;
    Ok(Answer::ok(&QuotasShape::from(&quotas))?.tagged(tenant.revision))
}

async fn read(call: Call) -> Result<Answer<QuotasShape>, Problem> {
    let scope = Scope::Platform(Some(call.tenant()));
    call.read_in(scope, |tx, acting| shown(tx, acting)).await
}

async fn replace(call: Call, whole: Whole<QuotasShape>) -> Result<Answer<QuotasShape>, Problem> {
    let scope = Scope::Platform(Some(call.tenant()));
    call.change_in(scope, move |tx, acting| {
        let tenant = find_for_change(tx, acting)?;
        let before = quotas::find(tx, tenant.id)?;
        let current = QuotasShape::from(&before);
        let after = whole.apply(&current, &current)?.verified()?;
        if after == before {
            return Ok(Change::Nothing(shown(tx, acting)?));
        }
        quotas::update(tx, tenant.id, &after)?;
        let events = acting.in_logs(|log| {
            Event::new(log, Action::TenantUpdated, Target::Tenant(tenant.id))
                .before(for_the_log(&before))
                .after(for_the_log(&after))
        });
        Ok(Change::made(shown(tx, acting)?, events))
    })
    .await
}

fn for_the_log(quotas: &Quotas) -> Value {
    json!({ "quotas": QuotasShape::from(quotas) })
}
