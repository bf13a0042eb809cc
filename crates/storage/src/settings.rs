//! What a tenant sets for itself. A tenant that has set nothing yet has no row, and the defaults.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::ids::TenantId;
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::limits::Limited;
use grantor_domain::settings::{
    ChosenSecrets, CredentialPage, DefaultAccessTokenLifetime, FailureThreshold, FailureWindow,
    InvitationLifetime, PasswordMinLength, PasswordResetLifetime, SupportContact, SustainedErrors,
    TenantSettings,
};
use grantor_domain::text::{EmailAddress, PersonName};
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::{tenant_settings, tenants};
use crate::stored;
use crate::transaction::{ChangeTx, Connected as _, Reads, Subject};

/// The settings of a tenant as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSettings {
    /// The settings.
    pub settings: TenantSettings,
    /// Counts their changes; 0 while nothing was set.
    pub revision: i64,
    /// When they were last changed, if ever.
    pub updated_at: Option<DateTime<Utc>>,
}

#[derive(Queryable, Selectable, Insertable, AsChangeset, Clone)]
#[diesel(table_name = tenant_settings, treat_none_as_null = true)]
struct SettingsRow {
    default_access_token_seconds: i32,
    invitation_seconds: i32,
    password_reset_seconds: i32,
    password_min_length: i32,
    credential_page: Option<String>,
    support_name: Option<String>,
    support_email: Option<String>,
    revision: i64,
    updated_at: DateTime<Utc>,
    allow_chosen_secrets: bool,
    sustained_errors_threshold: i32,
    sustained_errors_window_seconds: i32,
    default_tokens_per_minute: Option<i32>,
    default_max_live_tokens: Option<i32>,
}

/// Reads a stored number back into its bounds.
fn number<T, E>(
    what: &'static str,
    number: i32,
    parse: impl FnOnce(i64) -> Result<T, E>,
) -> Result<T, StorageError> {
    parse(number.into()).map_err(|_| StorageError::corrupt(what, number.to_string()))
}

fn column(what: &'static str, number: u32) -> Result<i32, StorageError> {
    i32::try_from(number).map_err(|_| StorageError::corrupt(what, number.to_string()))
}

impl SettingsRow {
    fn of(
        settings: &TenantSettings,
        revision: i64,
        now: DateTime<Utc>,
    ) -> Result<Self, StorageError> {
        let support = settings.support_contact.as_ref();
        let sustained = settings.sustained_errors;
        let limits = &settings.client_limits;
        Ok(Self {
            default_access_token_seconds: column(
                "lifetime",
                settings.default_access_token_lifetime.0.seconds(),
            )?,
            invitation_seconds: column("lifetime", settings.invitation_lifetime.get())?,
            password_reset_seconds: column("lifetime", settings.password_reset_lifetime.get())?,
            password_min_length: column("length", settings.password_min_length.get())?,
            credential_page: settings.credential_page.as_ref().map(ToString::to_string),
            support_name: support
                .and_then(|contact| contact.name.as_ref().map(ToString::to_string)),
            support_email: support.map(|contact| contact.email.to_string()),
            revision,
            updated_at: now,
            allow_chosen_secrets: settings.chosen_secrets == ChosenSecrets::Allowed,
            sustained_errors_threshold: column("threshold", sustained.threshold.get())?,
            sustained_errors_window_seconds: column("window", sustained.window.get())?,
            default_tokens_per_minute: stored::limit_column(limits, Limited::TokensPerMinute)?,
            default_max_live_tokens: stored::limit_column(limits, Limited::LiveTokens)?,
        })
    }

    fn into_domain(self) -> Result<StoredSettings, StorageError> {
        let page = |page: String| stored::parsed("credential page", &page, CredentialPage::parse);
        let name = |name: String| stored::parsed("contact's name", &name, PersonName::parse);
        let support_name = self.support_name.map(name).transpose()?;
        let support = |email: String| {
            Ok::<_, StorageError>(SupportContact {
                name: support_name,
                email: stored::parsed("contact's address", &email, EmailAddress::parse)?,
            })
        };
        Ok(StoredSettings {
            settings: TenantSettings {
                default_access_token_lifetime: DefaultAccessTokenLifetime(number(
                    "lifetime",
                    self.default_access_token_seconds,
                    AccessTokenLifetime::from_seconds,
                )?),
                invitation_lifetime: number(
                    "lifetime",
                    self.invitation_seconds,
                    InvitationLifetime::parse,
                )?,
                password_reset_lifetime: number(
                    "lifetime",
                    self.password_reset_seconds,
                    PasswordResetLifetime::parse,
                )?,
                password_min_length: number(
                    "length",
                    self.password_min_length,
                    PasswordMinLength::parse,
                )?,
                credential_page: self.credential_page.map(page).transpose()?,
                support_contact: self.support_email.map(support).transpose()?,
                chosen_secrets: if self.allow_chosen_secrets {
                    ChosenSecrets::Allowed
                } else {
                    ChosenSecrets::Forbidden
                },
                sustained_errors: SustainedErrors {
                    threshold: number(
                        "threshold",
                        self.sustained_errors_threshold,
                        FailureThreshold::parse,
                    )?,
                    window: number(
                        "window",
                        self.sustained_errors_window_seconds,
                        FailureWindow::parse,
                    )?,
                },
                client_limits: stored::limits(
                    self.default_tokens_per_minute,
                    self.default_max_live_tokens,
                )?,
            },
            revision: self.revision,
            updated_at: Some(self.updated_at),
        })
    }
}

/// The settings of a tenant: what it has set, or else the defaults.
pub fn find(tx: &mut impl Reads, tenant: TenantId) -> Result<TenantSettings, StorageError> {
    Ok(find_stored(tx, tenant)?.settings)
}

/// The same with what the settings' state is told by.
pub fn find_stored(tx: &mut impl Reads, tenant: TenantId) -> Result<StoredSettings, StorageError> {
    let row: Option<SettingsRow> = tenant_settings::table
        .find(tenant.uuid())
        .select(SettingsRow::as_select())
        .first(tx.connection())
        .optional()?;
    match row {
        Some(row) => row.into_domain(),
        None => Ok(StoredSettings {
            settings: TenantSettings::default(),
            revision: 0,
            updated_at: None,
        }),
    }
}

/// The same, kept from other changes until this one has ended: the tenant's own row is locked, for the settings
/// may have none yet.
pub fn find_for_change(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
) -> Result<StoredSettings, StorageError> {
    let _locked: Option<Uuid> = tenants::table
        .find(tenant.uuid())
        .select(tenants::id)
        .for_no_key_update()
        .first(tx.connection())
        .optional()?;
    find_stored(tx, tenant)
}

/// Writes the settings of a tenant, all of them, in place of those with this revision.
pub fn update(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    settings: &TenantSettings,
    replaced: i64,
) -> Result<(), StorageError> {
    let row = SettingsRow::of(settings, replaced + 1, tx.now())?;
    diesel::insert_into(tenant_settings::table)
        .values((tenant_settings::tenant_id.eq(tenant.uuid()), row.clone()))
        .on_conflict(tenant_settings::tenant_id)
        .do_update()
        .set(row)
        .execute(tx.touching(tenant, Subject::Tenant(tenant))?)?;
    Ok(())
}
