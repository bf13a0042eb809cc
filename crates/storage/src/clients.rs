//! Clients: what holds OAuth credentials in a tenant. Their secrets are in [`crate::client_secrets`].

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use grantor_domain::client::{
    Client, ClientProfile, ClientSettings, ClientType, NewClient, OwnerContact,
};
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, TenantId};
use grantor_domain::ip_rule::{IpRule, IpRules};
use grantor_domain::lifetime::{AccessTokenLifetime, RefreshTokenLifetime};
use grantor_domain::limits::Limited;
use grantor_domain::redirect_uri::RedirectUri;
use grantor_domain::text::{ClientName, Description, EmailAddress, PersonName};
use grantor_domain::web_address::WebAddress;
use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use grantor_protocol::grant_type::GrantType;
use uuid::Uuid;

use crate::alerts;
use crate::error::StorageError;
use crate::last_uses;
use crate::ownership;
use crate::resource_servers;
use crate::schema::{client_words, clients, suspensions};
use crate::stored;
use crate::suspensions::{SuspensionRow, mark_deleted};
use crate::transaction::{ChangeTx, Connected, Reads, Subject};

#[derive(Queryable, Selectable)]
#[diesel(table_name = clients)]
pub(crate) struct ClientRow {
    id: Uuid,
    organization_id: Uuid,
    owner_id: Option<Uuid>,
    name: String,
    description: String,
    homepage: Option<String>,
    logo: Option<String>,
    client_type: String,
    profile: String,
    grant_types: Vec<String>,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    auth_method: String,
    require_pkce: bool,
    allowed_scopes: Vec<String>,
    require_requested_scopes: bool,
    allowed_ips: Vec<String>,
    access_token_seconds: i32,
    refresh_token_seconds: Option<i32>,
    tokens_per_minute: Option<i32>,
    max_live_tokens: Option<i32>,
    owner_name: Option<String>,
    owner_email: String,
    revision: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    secret_updated_at: Option<DateTime<Utc>>,
}

/// Reads a stored number of seconds back into its bounds.
fn seconds<T, E>(seconds: i32, parse: impl FnOnce(i64) -> Result<T, E>) -> Result<T, StorageError> {
    parse(seconds.into()).map_err(|_| StorageError::corrupt("lifetime", seconds.to_string()))
}

/// Reads the addresses from which a client may come.
pub(crate) fn ip_rules(rules: &[String]) -> Result<IpRules, StorageError> {
    rules
        .iter()
        .map(|rule| stored::parsed("address rule", rule, IpRule::parse))
        .collect()
}

impl ClientRow {
    pub(crate) fn into_domain(
        self,
        suspension: Option<SuspensionRow>,
    ) -> Result<Client, StorageError> {
        let suspension = suspension.unwrap_or_default().into_domain()?;
        Ok(Client {
            id: ClientId::from_uuid(self.id),
            organization: OrganizationId::from_uuid(self.organization_id),
            owner: self.owner_id.map(MemberId::from_uuid),
            settings: self.settings()?,
            revision: self.revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
            secret_updated_at: self.secret_updated_at,
            suspension,
        })
    }

    fn settings(&self) -> Result<ClientSettings, StorageError> {
        let grant = |grant: &String| stored::word("grant type", grant, GrantType::parse);
        // They were verified when they were written. What a URL parser of another release thinks of them doesn't make
        // them unreadable: matching compares bytes.
        let address = |address: &Option<String>| address.clone().map(WebAddress::from_stored);
        let redirects = |uris: &[String]| -> Vec<RedirectUri> {
            uris.iter().cloned().map(RedirectUri::from_stored).collect()
        };
        let name = |name: &str| stored::parsed("owner's name", name, PersonName::parse);
        let profile = stored::word("profile", &self.profile, ClientProfile::parse)?;
        Ok(ClientSettings {
            name: stored::parsed("client's name", &self.name, ClientName::parse)?,
            description: stored::parsed("description", &self.description, Description::parse)?,
            homepage: address(&self.homepage),
            logo: address(&self.logo),
            client_type: stored::word("client type", &self.client_type, ClientType::parse)?,
            profile,
            grant_types: self
                .grant_types
                .iter()
                .map(grant)
                .collect::<Result<_, _>>()?,
            redirect_uris: redirects(&self.redirect_uris),
            post_logout_redirect_uris: redirects(&self.post_logout_redirect_uris),
            auth_method: stored::word(
                "authentication method",
                &self.auth_method,
                TokenEndpointAuthMethod::parse,
            )?,
            require_pkce: self.require_pkce,
            allowed_scopes: stored::scopes(&self.allowed_scopes)?,
            require_requested_scopes: self.require_requested_scopes,
            allowed_ips: ip_rules(&self.allowed_ips)?,
            access_token_lifetime: seconds(
                self.access_token_seconds,
                AccessTokenLifetime::from_seconds,
            )?,
            refresh_token_lifetime: self
                .refresh_token_seconds
                .map(|stored| seconds(stored, RefreshTokenLifetime::from_seconds))
                .transpose()?,
            limits: stored::limits(self.tokens_per_minute, self.max_live_tokens)?,
            owner_contact: OwnerContact {
                name: self.owner_name.as_deref().map(name).transpose()?,
                email: stored::parsed("owner's address", &self.owner_email, EmailAddress::parse)?,
            },
        })
    }
}

/// The columns that a client's settings fill.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = clients, treat_none_as_null = true)]
struct SettingsColumns<'s> {
    name: &'s str,
    description: &'s str,
    homepage: Option<String>,
    logo: Option<String>,
    client_type: &'static str,
    profile: &'static str,
    grant_types: Vec<&'static str>,
    redirect_uris: Vec<&'s str>,
    post_logout_redirect_uris: Vec<&'s str>,
    auth_method: &'static str,
    require_pkce: bool,
    allowed_scopes: Vec<String>,
    require_requested_scopes: bool,
    allowed_ips: Vec<String>,
    access_token_seconds: i32,
    refresh_token_seconds: Option<i32>,
    tokens_per_minute: Option<i32>,
    max_live_tokens: Option<i32>,
    owner_name: Option<String>,
    owner_email: &'s str,
}

fn column(seconds: u32) -> Result<i32, StorageError> {
    i32::try_from(seconds).map_err(|_| StorageError::corrupt("lifetime", seconds.to_string()))
}

impl<'s> SettingsColumns<'s> {
    fn of(settings: &'s ClientSettings) -> Result<Self, StorageError> {
        let texts = |uris: &'s [RedirectUri]| uris.iter().map(RedirectUri::as_str).collect();
        let contact = &settings.owner_contact;
        Ok(Self {
            name: settings.name.as_str(),
            description: settings.description.as_str(),
            homepage: settings.homepage.as_ref().map(ToString::to_string),
            logo: settings.logo.as_ref().map(ToString::to_string),
            client_type: settings.client_type.as_str(),
            profile: settings.profile.as_str(),
            grant_types: settings
                .grant_types
                .iter()
                .map(|grant| grant.as_str())
                .collect(),
            redirect_uris: texts(&settings.redirect_uris),
            post_logout_redirect_uris: texts(&settings.post_logout_redirect_uris),
            auth_method: settings.auth_method.as_str(),
            require_pkce: settings.require_pkce,
            allowed_scopes: settings.allowed_scopes.to_vec(),
            require_requested_scopes: settings.require_requested_scopes,
            allowed_ips: settings.allowed_ips.to_vec(),
            access_token_seconds: column(settings.access_token_lifetime.seconds())?,
            refresh_token_seconds: settings
                .refresh_token_lifetime
                .map(|lifetime| column(lifetime.seconds()))
                .transpose()?,
            tokens_per_minute: stored::limit_column(&settings.limits, Limited::TokensPerMinute)?,
            max_live_tokens: stored::limit_column(&settings.limits, Limited::LiveTokens)?,
            owner_name: contact.name.as_ref().map(ToString::to_string),
            owner_email: contact.email.as_str(),
        })
    }
}

/// Makes a client.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: &NewClient,
) -> Result<(), StorageError> {
    let now = tx.now();
    let connection = tx.touching(tenant, Subject::Client(client.id))?;
    diesel::insert_into(clients::table)
        .values((
            clients::tenant_id.eq(tenant.uuid()),
            clients::id.eq(client.id.uuid()),
            clients::organization_id.eq(client.organization.uuid()),
            clients::owner_id.eq(client.owner.map(MemberId::uuid)),
            clients::kind.eq("own"),
            SettingsColumns::of(&client.settings)?,
            clients::created_at.eq(now),
            clients::updated_at.eq(now),
        ))
        .execute(connection)?;
    add_words(connection, tenant, client.id, &client.settings.words())
}

fn add_words(
    connection: &mut PgConnection,
    tenant: TenantId,
    client: ClientId,
    words: &BTreeSet<String>,
) -> Result<(), StorageError> {
    let rows: Vec<_> = words
        .iter()
        .map(|word| {
            (
                client_words::tenant_id.eq(tenant.uuid()),
                client_words::word.eq(word),
                client_words::client_id.eq(client.uuid()),
            )
        })
        .collect();
    diesel::insert_into(client_words::table)
        .values(rows)
        .execute(connection)?;
    Ok(())
}

/// Writes the settings of a client, all of them, in place of those that it had; tells whether it is there.
pub fn update(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: ClientId,
    former: &ClientSettings,
    settings: &ClientSettings,
) -> Result<bool, StorageError> {
    let connection = tx.touching(tenant, Subject::Client(id))?;
    let updated = diesel::update(clients::table.find((tenant.uuid(), id.uuid())))
        .set(SettingsColumns::of(settings)?)
        .execute(connection)?;
    let words = settings.words();
    if updated == 1 && words != former.words() {
        replace_words(connection, tenant, id, &words)?;
    }
    Ok(updated == 1)
}

fn replace_words(
    connection: &mut PgConnection,
    tenant: TenantId,
    client: ClientId,
    words: &BTreeSet<String>,
) -> Result<(), StorageError> {
    diesel::delete(client_words::table)
        .filter(client_words::tenant_id.eq(tenant.uuid()))
        .filter(client_words::client_id.eq(client.uuid()))
        .execute(connection)?;
    add_words(connection, tenant, client, words)
}

const DROP_WORDS: &str = "DELETE FROM client_words USING unnest($2, $3) AS gone (word, client_id) \
     WHERE client_words.tenant_id = $1 AND client_words.client_id = gone.client_id AND client_words.word = gone.word";
const ADD_WORDS: &str = "INSERT INTO client_words (tenant_id, word, client_id) \
     SELECT $1, word, client_id FROM unnest($2, $3) AS new (word, client_id) ON CONFLICT DO NOTHING";

/// What a client is found by.
#[derive(Queryable, Selectable)]
#[diesel(table_name = clients)]
struct FoundBy {
    id: Uuid,
    name: String,
    description: String,
    homepage: Option<String>,
    owner_name: Option<String>,
    owner_email: String,
}

impl FoundBy {
    fn words(&self, contact_name: &str, contact_email: &str) -> BTreeSet<String> {
        let homepage = self.homepage.as_deref().unwrap_or_default();
        ClientSettings::words_of(
            &self.name,
            contact_name,
            contact_email,
            homepage,
            &self.description,
        )
    }
}

/// Lets clients, however many they are, be found by the words of another contact, which they are about to get, and not by
/// those of the one that they have.
pub(crate) fn find_by_contact(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    ids: &[Uuid],
    contact: &OwnerContact,
) -> Result<(), StorageError> {
    let rows: Vec<FoundBy> = clients::table
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::id.eq_any(ids))
        .select(FoundBy::as_select())
        .load(tx.connection())?;
    let new_name = contact.name.as_ref().map_or("", PersonName::as_str);
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    for row in rows {
        let name = row.owner_name.as_deref().unwrap_or_default();
        let before = row.words(name, &row.owner_email);
        let after = row.words(new_name, contact.email.as_str());
        gone.extend(before.difference(&after).map(|word| (word.clone(), row.id)));
        new.extend(after.difference(&before).map(|word| (word.clone(), row.id)));
    }
    for (sql, pairs) in [(DROP_WORDS, gone), (ADD_WORDS, new)] {
        let (words, of): (Vec<String>, Vec<Uuid>) = pairs.into_iter().unzip();
        diesel::sql_query(sql)
            .bind::<SqlUuid, _>(tenant.uuid())
            .bind::<Array<Text>, _>(words)
            .bind::<Array<SqlUuid>, _>(of)
            .execute(tx.connection())?;
    }
    Ok(())
}

/// Puts a client into another organization. What it was due for in the old one it stays due for, and whoever can't own
/// it there does not own it any more.
pub fn put_into(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: &Client,
    organization: OrganizationId,
) -> Result<(), StorageError> {
    ownership::keep_due(tx, tenant, client)?;
    diesel::update(clients::table.find((tenant.uuid(), client.id.uuid())))
        .set(clients::organization_id.eq(organization.uuid()))
        .execute(tx.touching(tenant, Subject::Client(client.id))?)?;
    match client.owner {
        Some(owner) => ownership::settle(tx, tenant, owner, ownership::RIGHTS_LOST),
        None => Ok(()),
    }
}

/// Reads one client.
pub fn find(
    tx: &mut impl Reads,
    tenant: TenantId,
    id: ClientId,
) -> Result<Option<Client>, StorageError> {
    clients::table
        .left_join(suspensions::table.on(of_this_client()))
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::id.eq(id.uuid()))
        .select((ClientRow::as_select(), Option::<SuspensionRow>::as_select()))
        .first::<(ClientRow, Option<SuspensionRow>)>(tx.connection())
        .optional()?
        .map(|(client, suspension)| client.into_domain(suspension))
        .transpose()
}

#[diesel::dsl::auto_type]
fn of_this_client() -> _ {
    suspensions::tenant_id
        .eq(clients::tenant_id)
        .and(suspensions::subject_id.eq(clients::id))
}

/// Reads one client and keeps others from changing it until this change has ended.
pub fn find_for_change(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: ClientId,
) -> Result<Option<Client>, StorageError> {
    let locked: Option<Uuid> = clients::table
        .find((tenant.uuid(), id.uuid()))
        .select(clients::id)
        .for_update()
        .first(tx.connection())
        .optional()?;
    // Read after the lock was had: so it is what the change before this one left.
    if locked.is_some() {
        find(tx, tenant, id)
    } else {
        Ok(None)
    }
}

/// Deletes a client for good. Its secrets go with it; its tokens are dead through the mark that stays.
pub fn delete(tx: &mut ChangeTx<'_>, tenant: TenantId, id: ClientId) -> Result<(), StorageError> {
    mark_deleted(tx, tenant, Subject::Client(id))?;
    // Who may introspect is part of a resource server's state, and this one goes from all of them.
    for server in resource_servers::introspected_by(tx, tenant, id)? {
        tx.touching(tenant, Subject::ResourceServer(server))?;
    }
    last_uses::forget(tx, tenant, id)?;
    alerts::forget(tx, tenant, id)?;
    diesel::delete(clients::table.find((tenant.uuid(), id.uuid())))
        .execute(tx.touching(tenant, Subject::Client(id))?)?;
    Ok(())
}
