//! Signing keys: the public halves as they are published, the private halves sealed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use grantor_domain::ids::TenantId;
use grantor_domain::resource_server::SigningAlgorithm;
use grantor_domain::signing_key::{KeyName, KeyTimes};
use grantor_keys::{Algorithm, PublicJwk};
use uuid::Uuid;

use crate::database::Database;
use crate::error::StorageError;
use crate::schema::signing_keys;
use crate::stored;
use crate::transaction::{ChangeTx, Reads, Subject};

/// The name of the table, which sealed values are bound to.
pub const TABLE: &str = "signing_keys";

/// A signing key as it stands.
#[derive(Debug, Clone)]
pub struct StoredSigningKey {
    /// Its id in `JWKS` and in the header of what it signs.
    pub kid: String,
    /// What the sealed half is bound to.
    pub id: Uuid,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Counts up with each rotation, for each algorithm by itself.
    pub generation: i32,
    /// The half that is published.
    pub public: PublicJwk,
    /// The half that is not.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// It signs from here on, until a newer one does.
    pub signs_from: DateTime<Utc>,
    /// After this it is not published any more.
    pub published_until: Option<DateTime<Utc>>,
}

/// The unique key at which two meet who make the same generation at once.
pub const GENERATION: &str = "signing_keys_generation";

impl StoredSigningKey {
    /// Whether it is published at a time.
    pub fn is_published(&self, now: DateTime<Utc>) -> bool {
        self.published_until.is_none_or(|until| until > now)
    }

    /// Which key it is, and when it does what.
    pub fn times(&self) -> KeyTimes {
        let algorithm = match self.algorithm {
            Algorithm::Es256 => SigningAlgorithm::Es256,
            Algorithm::EdDsa => SigningAlgorithm::EdDsa,
            Algorithm::Rs256 => SigningAlgorithm::Rs256,
        };
        KeyTimes {
            name: KeyName {
                algorithm,
                generation: self.generation,
            },
            created_at: self.created_at,
            signs_from: self.signs_from,
            published_until: self.published_until,
        }
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = signing_keys)]
struct SigningKeyRow {
    tenant_id: Uuid,
    kid: String,
    id: Uuid,
    algorithm: String,
    generation: i32,
    public_jwk: serde_json::Value,
    sealed_private_key: Vec<u8>,
    created_at: DateTime<Utc>,
    signs_from: DateTime<Utc>,
    published_until: Option<DateTime<Utc>>,
}

/// The keys of a tenant that are published at `now`, those of one algorithm after those of another, and of each
/// the newest first.
pub fn published(
    tx: &mut impl Reads,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<Vec<StoredSigningKey>, StorageError> {
    let mut keys = all(tx, tenant)?;
    keys.retain(|key| key.is_published(now));
    Ok(keys)
}

/// All the keys of a tenant, in the same order. They are few: one of each algorithm is added a rotation.
pub fn all(tx: &mut impl Reads, tenant: TenantId) -> Result<Vec<StoredSigningKey>, StorageError> {
    signing_keys::table
        .filter(signing_keys::tenant_id.eq(tenant.uuid()))
        .order((signing_keys::algorithm, signing_keys::generation.desc()))
        .select(SigningKeyRow::as_select())
        .load(tx.connection())?
        .into_iter()
        .map(SigningKeyRow::into_domain)
        .collect()
}

impl SigningKeyRow {
    fn into_domain(self) -> Result<StoredSigningKey, StorageError> {
        Ok(StoredSigningKey {
            kid: self.kid,
            id: self.id,
            algorithm: stored::word("algorithm", &self.algorithm, Algorithm::parse)?,
            generation: self.generation,
            public: serde_json::from_value(self.public_jwk)
                .map_err(|error| StorageError::corrupt("public key", error.to_string()))?,
            sealed: self.sealed_private_key,
            created_at: self.created_at,
            signs_from: self.signs_from,
            published_until: self.published_until,
        })
    }
}

/// Stores a key. When another replica has stored the same generation of its algorithm meanwhile,
/// [`StorageError::Taken`].
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    key: &StoredSigningKey,
) -> Result<(), StorageError> {
    let public_jwk = serde_json::to_value(&key.public)
        .map_err(|error| StorageError::corrupt("public key", error.to_string()))?;
    diesel::insert_into(signing_keys::table)
        .values(SigningKeyRow {
            tenant_id: tenant.uuid(),
            kid: key.kid.clone(),
            id: key.id,
            algorithm: key.algorithm.as_str().to_owned(),
            generation: key.generation,
            public_jwk,
            sealed_private_key: key.sealed.clone(),
            created_at: key.created_at,
            signs_from: key.signs_from,
            published_until: key.published_until,
        })
        .execute(tx.touching(tenant, Subject::Tenant(tenant))?)?;
    Ok(())
}

/// Says until when the keys of an algorithm before a generation are published, where that is not said yet.
pub fn retire_before(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    algorithm: Algorithm,
    generation: i32,
    published_until: DateTime<Utc>,
) -> Result<(), StorageError> {
    diesel::update(signing_keys::table)
        .filter(signing_keys::tenant_id.eq(tenant.uuid()))
        .filter(signing_keys::algorithm.eq(algorithm.as_str()))
        .filter(signing_keys::generation.lt(generation))
        .filter(signing_keys::published_until.is_null())
        .set(signing_keys::published_until.eq(published_until))
        .execute(tx.touching(tenant, Subject::Tenant(tenant))?)?;
    Ok(())
}

/// Removes the keys of a tenant that are not published any more, their private halves with them; tells their ids.
pub fn remove_retired(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<Vec<String>, StorageError> {
    let retired = signing_keys::table
        .filter(signing_keys::tenant_id.eq(tenant.uuid()))
        .filter(signing_keys::published_until.le(now));
    Ok(diesel::delete(retired)
        .returning(signing_keys::kid)
        .get_results(tx.touching(tenant, Subject::Tenant(tenant))?)?)
}

#[derive(QueryableByName)]
struct DueRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
}

// Along the index of the newest keys. A suspended tenant takes no change, so its keys wait until it is back.
const DUE: &str = "SELECT DISTINCT tenant_id FROM (SELECT tenant_id FROM signing_keys \
         WHERE published_until IS NULL AND created_at <= $1 \
           AND NOT EXISTS (SELECT FROM tenant_suspensions AS mark WHERE mark.tenant_id = signing_keys.tenant_id \
             AND (mark.paused_by_operator_at IS NOT NULL OR mark.deleted_at IS NOT NULL)) \
         ORDER BY created_at LIMIT $2) AS due";

/// Some tenants of which a newest key was made at a time or before.
pub async fn tenants_due(
    database: &Database,
    made_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<TenantId>, StorageError> {
    database
        .bookkeeping(move |connection| {
            let rows: Vec<DueRow> = diesel::sql_query(DUE)
                .bind::<Timestamptz, _>(made_until)
                .bind::<BigInt, _>(limit)
                .load(connection)?;
            let tenants = rows.into_iter().map(|row| row.tenant_id);
            Ok(tenants.map(TenantId::from_uuid).collect())
        })
        .await
}

/// Replaces the sealed half of a key, after it was sealed anew under the current master key.
pub fn reseal(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    kid: &str,
    sealed: &[u8],
) -> Result<(), StorageError> {
    diesel::update(signing_keys::table.find((tenant.uuid(), kid)))
        .set(signing_keys::sealed_private_key.eq(sealed))
        .execute(tx.touching(tenant, Subject::Tenant(tenant))?)?;
    Ok(())
}
