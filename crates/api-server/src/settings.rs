//! What a tenant sets for itself: read, change, replace.

mod shapes;

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::permission::Permission;
use grantor_storage::settings::StoredSettings;
use grantor_storage::{Change, settings};

use self::shapes::{SettingsInput, SettingsOutput, for_the_log};
use crate::answer::Answer;
use crate::call::Call;
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
                "What the tenant sets for itself, and the defaults where it has set nothing.",
            )
            .needs(Permission::SettingsRead)
            .answers::<SettingsOutput>(Success::Ok)
            .tagged()
            .by(read),
        Operation::patch("updateSettings", SETTINGS)
            .about(
                Tag::Tenants,
                "Change the settings",
                "Changes the settings given, and no other; `null` brings back a default. They take effect at once.",
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

fn show(stored: &StoredSettings) -> Result<Answer<SettingsOutput>, Problem> {
    Ok(Answer::ok(&SettingsOutput::from(stored))?.tagged(stored.revision))
}

async fn read(call: Call) -> Result<Answer<SettingsOutput>, Problem> {
    let stored = call
        .read(move |tx, acting| Ok(settings::find_stored(tx, acting.tenant)?))
        .await?;
    show(&stored)
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
        let after = wanted(&before.into(), &(&stored).into())?.verified()?;
        if after == *before {
            return Ok(Change::Nothing(show(&stored)?));
        }
        settings::update(tx, tenant, &after, stored.revision)?;
        let event = Event::new(tenant, Action::SettingsUpdated, Target::Tenant(tenant))
            .before(for_the_log(before))
            .after(for_the_log(&after));
        Ok(Change::made(
            show(&settings::find_stored(tx, tenant)?)?,
            event,
        ))
    })
    .await
}
