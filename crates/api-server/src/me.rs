//! Who calls, and what they may do where: so that a console hides what would be refused.

use std::collections::{BTreeMap, BTreeSet};

use grantor_domain::access::Caller;
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::permission::Permission;
use grantor_storage::{ReadTx, clients, members, organizations, tenants};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::call::{Call, Stop};
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::words::PermissionName;

/// A thing with its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Named {
    /// Its id.
    #[schema(example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: String,
    /// Its name.
    #[schema(example = "Sales")]
    name: String,
}

/// Something that the caller may do, and where.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldPermission)]
pub struct HeldOutput {
    /// What.
    #[schema(value_type = PermissionName)]
    permission: &'static str,
    /// Whether over the whole of the tenant.
    everywhere: bool,
    /// The organizations over whose subtrees; one may lie below another.
    organizations: Vec<Named>,
}

/// Who calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me, example = json!({
    "tenant": { "id": "ten_01kb2q3r4s5t6v7w8x9y0z1a2b", "name": "Acme" },
    "root_organization_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "client": { "id": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b", "name": "Console" },
    "member": { "id": "mem_01kb2q3r4s5t6v7w8x9y0z1a2b", "name": "The first owner" }, "is_operator": false,
    "permissions": [{ "permission": "clients.read", "everywhere": false,
        "organizations": [{ "id": "org_01kb2q3r4s5t6v7w8x9y0z1a2c", "name": "Sales" }] }] }))]
pub struct MeOutput {
    /// The tenant that the caller belongs to.
    tenant: Named,
    /// The organization at the top of its tree.
    #[schema(example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    root_organization_id: String,
    /// The client that calls.
    client: Named,
    /// The member for whom it does; null when it acts for itself.
    #[schema(required = true)]
    member: Option<Named>,
    /// Whether the tenant is that of the operators.
    is_operator: bool,
    /// What this very token permits now: its scopes, as far as the roles of whoever acts permit them.
    permissions: Vec<HeldOutput>,
}

/// The operations on the caller.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("readMe", "/v1/me")
            .about(
                Tag::Me,
                "Who am I?",
                "Tells whose token this is, and what it permits over which organizations at this moment. What is not \
                 listed would be refused.",
            )
            .needs_a_known_caller()
            .answers::<MeOutput>(Success::Ok)
            .by(read),
    ]
}

async fn read(call: Call) -> Result<Answer<MeOutput>, Problem> {
    let me = call
        .read(|tx, acting| me(tx, acting.tenant, &acting.caller))
        .await?;
    Answer::ok(&me)
}

fn me(tx: &mut ReadTx<'_>, tenant: TenantId, caller: &Caller) -> Result<MeOutput, Stop> {
    let home = tenants::find(tx, tenant)?.ok_or(Problem::NotFound)?;
    let client = clients::find(tx, tenant, caller.client)?.ok_or(Problem::NotFound)?;
    let member = caller
        .member
        .map(|member| members::find(tx, tenant, member))
        .transpose()?
        .flatten();
    let tops: BTreeSet<OrganizationId> = caller.reach.iter().map(|(_, top)| top).collect();
    let names = organizations::names(tx, tenant, tops.into_iter())?;
    Ok(MeOutput {
        tenant: Named {
            id: tenant.to_string(),
            name: home.name.to_string(),
        },
        root_organization_id: caller.root.to_string(),
        client: Named {
            id: client.id.to_string(),
            name: client.settings.name.to_string(),
        },
        member: member.map(|member| Named {
            id: member.id.to_string(),
            name: member.settings.name.to_string(),
        }),
        is_operator: home.is_platform,
        permissions: caller
            .permissions()
            .into_iter()
            .map(|permission| held(caller, permission, &names))
            .collect(),
    })
}

fn held(
    caller: &Caller,
    permission: Permission,
    names: &BTreeMap<OrganizationId, String>,
) -> HeldOutput {
    let tops: BTreeSet<OrganizationId> = caller.reach.tops(permission).collect();
    HeldOutput {
        permission: permission.as_str(),
        everywhere: tops.contains(&caller.root),
        organizations: tops
            .iter()
            .filter_map(|top| {
                Some(Named {
                    id: top.to_string(),
                    name: names.get(top)?.clone(),
                })
            })
            .collect(),
    }
}
