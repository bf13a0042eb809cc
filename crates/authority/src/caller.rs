//! Who calls the management API: the token checked, and what its holder may do now.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use grantor_domain::access::Caller;
use grantor_domain::failure::FailureKind;
use grantor_storage::callers::{self, CallerRecord, TokenKey};
use grantor_storage::{Database, StorageError};

use crate::check::good_for;
use crate::coalesce::{Batch, Coalescer, Limits};
use crate::locate::locate;
use crate::{Authority, Failure};

/// What came of checking a bearer token.
#[derive(Debug, Clone)]
pub enum CallerCheck {
    /// The token is good; this is who calls.
    Good(Caller),
    /// Unknown, expired, revoked, or its client or tenant is suspended.
    NotGood,
    /// Good, but not for the management API.
    OtherAudience,
    /// Good, but it came from where its client may not (`client_13`); this is whose it is.
    OtherAddress(Caller),
}

impl Authority {
    /// Checks a bearer token of the management API, against what PostgreSQL says after this call has begun.
    pub async fn check_caller(
        &self,
        token: String,
        ip: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<CallerCheck, Failure> {
        let Some(key) = locate(&token) else {
            return Ok(CallerCheck::NotGood);
        };
        let Some(record) = self.callers.record(key).await? else {
            return Ok(CallerCheck::NotGood);
        };
        let CallerRecord {
            recorded,
            tenant_suspension,
            allowed_now,
            allowed_ips,
            home,
            roles,
        } = record.as_ref();
        let good = good_for(&token, recorded, tenant_suspension, allowed_now, now);
        let Some(scopes) = good else {
            return Ok(CallerCheck::NotGood);
        };
        Ok(
            match Caller::identify(&recorded.token, &scopes, *home, roles) {
                None => CallerCheck::OtherAudience,
                Some(caller) if allowed_ips.admits(ip) => CallerCheck::Good(caller),
                Some(caller) => {
                    let kind = FailureKind::RefusedIp;
                    self.failures.note(caller.tenant, caller.client, kind, now);
                    CallerCheck::OtherAddress(caller)
                }
            },
        )
    }
}

/// The records of callers, by coalesced reads. There are two lanes, as there are of connections, so that a
/// crowd in the one doesn't hold up the other.
#[derive(Clone)]
pub(crate) struct CallerReads {
    lane: Coalescer<Reading>,
    reserved: Coalescer<Reading>,
}

impl CallerReads {
    pub(crate) fn new(database: &Database) -> Self {
        let lane = |database: Database, batches| {
            let limits = Limits {
                batches,
                size: 256,
                waiting: 2_048,
                // The wait for a batch is part of the call, and a call takes no longer than that.
                patience: database.deadline(),
            };
            Coalescer::new(Reading(database), limits)
        };
        Self {
            lane: lane(database.clone(), 2),
            // One of the two connections stays free for what a checked caller then stops.
            reserved: lane(database.reserved(), 1),
        }
    }

    /// The same by the connections that are kept for revocation.
    pub(crate) fn reserved(&self) -> Self {
        Self {
            lane: self.reserved.clone(),
            reserved: self.reserved.clone(),
        }
    }

    async fn record(&self, key: TokenKey) -> Result<Option<Arc<CallerRecord>>, Failure> {
        Ok(self.lane.ask(key).await?)
    }
}

/// Reads the records of many tokens by one statement.
struct Reading(Database);

impl Batch for Reading {
    type Key = TokenKey;
    type Answer = CallerRecord;
    type Error = StorageError;

    async fn run(
        &self,
        keys: Vec<TokenKey>,
    ) -> Result<HashMap<TokenKey, CallerRecord>, StorageError> {
        self.0.flow(move |tx| callers::find(tx, &keys)).await
    }

    /// A row that can't be read spoils nobody's but its own token's check.
    fn is_of_one_key(error: &StorageError) -> bool {
        matches!(error, StorageError::Corrupt { .. })
    }
}
