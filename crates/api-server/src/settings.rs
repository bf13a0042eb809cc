//! What a tenant sets for itself: read, change, replace.

mod shapes;

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::TenantId;
use grantor_domain::permission::Permission;
use grantor_storage::settings::StoredSettings;
use grantor_storage::{Change, Reads, StorageError, quotas, settings, tenants};

use self::shapes::{SettingsInput, SettingsOutput, beyond, for_the_log};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop};
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{MergePatch, Whole};

const SETTINGS: &str = "/v1/tenants/{tenant}/settings";

/// The operations on a tenant's settings.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("readSettings", SETTINGS)
            .about(
                Tag::Tenants,
                "Read the settings",
                "What the tenant sets for itself, and the defaults where it has set nothing. Besides, how much of each \
                 kind it may have, which operators decide, and how much it has.",
            )
            .needs_over_whole_tenant(Permission::SettingsRead)
            .answers::<SettingsOutput>(Success::Ok)
            .tagged()
            .live()
            .by(read),
        Operation::patch("updateSettings", SETTINGS)
            .about(
                Tag::Tenants,
                "Change the settings",
                "Changes the settings given, and no other; `null` brings back a default. They take effect at once. \
                 Another `credential_page` takes every permission over the root organization: that page gets the links \
                 of all members.",
            )
            .needs_over_whole_tenant(Permission::SettingsWrite)
            .conditional()
            .takes::<MergePatch<SettingsInput>>()
            .answers::<SettingsOutput>(Success::Ok)
            .tagged()
            .records(&[Action::SettingsUpdated])
            .by(update),
        Operation::put("replaceSettings", SETTINGS)
            .about(
                Tag::Tenants,
                "Replace the settings",
                "Gives the tenant these settings, and every one that is absent its default.",
            )
            .needs_over_whole_tenant(Permission::SettingsWrite)
            .conditional()
            .takes::<Whole<SettingsInput>>()
            .answers::<SettingsOutput>(Success::Ok)
            .tagged()
            .records(&[Action::SettingsUpdated])
            .by(replace),
    ]
}

/// The settings as they stand, with what the tenant may have and has.
fn shown(
    tx: &mut impl Reads,
    tenant: TenantId,
    stored: &StoredSettings,
) -> Result<SettingsOutput, StorageError> {
    Ok(SettingsOutput::new(
        stored,
        &quotas::find(tx, tenant)?,
        &quotas::usage(tx, tenant)?,
    ))
}

fn answer(shown: &SettingsOutput) -> Result<Answer<SettingsOutput>, Problem> {
    Ok(Answer::ok(shown)?.tagged(shown.revision()))
}

async fn read(call: Call) -> Result<Answer<SettingsOutput>, Problem> {
    let found = call
        .read(move |tx, acting| {
            let stored = settings::find_stored(tx, acting.tenant)?;
            Ok(shown(tx, acting.tenant, &stored)?)
        })
        .await?;
    answer(&found)
}

async fn update(
    call: Call,
    patch: MergePatch<SettingsInput>,
) -> Result<Answer<SettingsOutput>, Problem> {
    set(call, |current, shown| patch.apply(current, shown)).await
}

async fn replace(
    call: Call,
    whole: Whole<SettingsInput>,
) -> Result<Answer<SettingsOutput>, Problem> {
    set(call, |current, shown| whole.apply(current, shown)).await
}

/// Gives a tenant the settings that `wanted` makes of the present ones.
async fn set(
    call: Call,
    wanted: impl FnOnce(&SettingsInput, &SettingsOutput) -> Result<SettingsInput, Problem>
    + Send
    + 'static,
) -> Result<Answer<SettingsOutput>, Problem> {
    call.change(move |tx, acting| {
        let tenant = acting.tenant;
        let stored = settings::find_for_change(tx, tenant)?;
        acting.condition.check(stored.revision)?;
        let before = &stored.settings;
        let present = shown(tx, tenant, &stored)?;
        let after = wanted(&before.into(), &present)?.verified()?;
        if after == *before {
            return Ok(Change::Nothing(answer(&present)?));
        }
        if after.credential_page != before.credential_page {
            check_may_send_members_elsewhere(tx, acting)?;
        }
        let bounds = quotas::find(tx, tenant)?.client_limits;
        after
            .client_limits
            .check(&before.client_limits, &bounds)
            .map_err(beyond)?;
        settings::update(tx, tenant, &after, stored.revision)?;
        let event = Event::new(tenant, Action::SettingsUpdated, Target::Tenant(tenant))
            .before(for_the_log(before))
            .after(for_the_log(&after));
        let stored = settings::find_stored(tx, tenant)?;
        Ok(Change::made(answer(&shown(tx, tenant, &stored)?)?, event))
    })
    .await
}

/// `role_3`: whoever has the page that mailed links lead to can come in as any member, owners too.
fn check_may_send_members_elsewhere(tx: &mut impl Reads, acting: &Acting) -> Result<(), Stop> {
    let tenant = tenants::find(tx, acting.tenant)?.ok_or(Problem::NotFound)?;
    let root = [acting.caller.root];
    let everything = Permission::ALL
        .iter()
        .filter(|permission| tenant.is_platform || !permission.is_for_operators())
        .map(|permission| (*permission, root));
    acting
        .caller
        .may_come_by(everything)
        .map_err(|refusal| acting.refuse(refusal))
}
