//! What tenants set for themselves: kept apart, whole, and one change after the other.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::TenantId;
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::limits::{Limited, Limits};
use grantor_domain::settings::{
    ChosenSecrets, CredentialPage, DefaultAccessTokenLifetime, FailureThreshold, FailureWindow,
    InvitationLifetime, PasswordMinLength, PasswordResetLifetime, SupportContact, SustainedErrors,
    TenantSettings,
};
use grantor_domain::text::{EmailAddress, PersonName};
use grantor_storage::{Change, ReadTx, Scope, StorageError, settings};

use crate::support::{Fixture, now, wait_for};

fn all_set() -> TenantSettings {
    TenantSettings {
        default_access_token_lifetime: DefaultAccessTokenLifetime(
            AccessTokenLifetime::from_seconds(86_400).unwrap(),
        ),
        invitation_lifetime: InvitationLifetime::parse(2_592_000).unwrap(),
        password_reset_lifetime: PasswordResetLifetime::parse(300).unwrap(),
        password_min_length: PasswordMinLength::parse(64).unwrap(),
        credential_page: Some(CredentialPage::parse("https://console.example.com/p").unwrap()),
        support_contact: Some(SupportContact {
            name: Some(PersonName::parse("Help desk").unwrap()),
            email: EmailAddress::parse("help@example.com").unwrap(),
        }),
        chosen_secrets: ChosenSecrets::Forbidden,
        sustained_errors: SustainedErrors {
            threshold: FailureThreshold::parse(100_000).unwrap(),
            window: FailureWindow::parse(86_400).unwrap(),
        },
        client_limits: {
            let mut limits = Limits::default();
            limits.set(Limited::TokensPerMinute, Some(60)).unwrap();
            limits.set(Limited::LiveTokens, Some(1_000)).unwrap();
            limits
        },
    }
}

fn write(fixture: &Fixture, tenant: TenantId, wanted: TenantSettings) {
    fixture
        .change(Scope::Tenant(tenant), move |tx| {
            let before = settings::find_for_change(tx, tenant)?;
            settings::update(tx, tenant, &wanted, before.revision)?;
            let event = Event::new(tenant, Action::SettingsUpdated, Target::Tenant(tenant));
            Ok(Change::made((), event))
        })
        .unwrap();
}

fn read(fixture: &Fixture, tenant: TenantId) -> settings::StoredSettings {
    wait_for(
        fixture
            .database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                settings::find_stored(tx, tenant)
            }),
    )
    .unwrap()
}

#[test]
fn a_tenant_has_the_defaults_until_it_sets_something_and_then_all_that_it_set() {
    let fixture = Fixture::new();
    let (own, other) = (fixture.tenant("Own").id, fixture.tenant("Other").id);
    let untouched = read(&fixture, own);
    assert_eq!(untouched.settings, TenantSettings::default());
    assert_eq!((untouched.revision, untouched.updated_at), (0, None));

    write(&fixture, own, all_set());
    let set = read(&fixture, own);
    assert_eq!(set.settings, all_set());
    assert_eq!((set.revision, set.updated_at), (1, Some(now())));
    assert_eq!(read(&fixture, other).settings, TenantSettings::default());

    write(&fixture, own, TenantSettings::default());
    let back = read(&fixture, own);
    assert_eq!(
        back.settings,
        TenantSettings::default(),
        "what was set is gone, texts too"
    );
    assert_eq!(back.revision, 2);
}

#[test]
fn changing_settings_is_on_the_feed_as_a_change_of_the_tenant() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Own").id;
    let sql = format!(
        "SELECT count(*) FROM changes WHERE action = 'tenant.settings_updated' \
         AND tenant_id = '{0}' AND touched = ARRAY['{0}'::uuid]",
        tenant.uuid()
    );
    assert_eq!(fixture.number(&sql), 0);
    write(&fixture, tenant, all_set());
    assert_eq!(fixture.number(&sql), 1);
}

#[test]
fn two_first_changes_at_once_come_one_after_the_other() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Own").id;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| write(&fixture, tenant, all_set()));
        }
    });
    assert_eq!(read(&fixture, tenant).revision, 8, "none was lost");
}

#[test]
fn a_row_that_was_tampered_with_is_an_error_and_no_setting() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Own").id;
    write(&fixture, tenant, all_set());
    fixture.superuser_runs("UPDATE tenant_settings SET credential_page = 'javascript:alert(1)'");
    let found = wait_for(
        fixture
            .database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                settings::find(tx, tenant)
            }),
    );
    assert!(
        matches!(found, Err(StorageError::Corrupt { .. })),
        "{found:?}"
    );
}
