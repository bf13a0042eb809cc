//! A call whose caller is known and may make it, as handlers get it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use grantor_domain::access::{AccessRefusal, Caller, Reach};
use grantor_domain::audit::{Action, Event, Events, Origin, Target};
use grantor_domain::client::confirms;
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::permission::Permission;
use grantor_domain::role::HeldPermissions;
use grantor_storage::{
    Change, ChangeTx, Database, ReadTx, Reads, Scope, StorageError, organizations,
};
use serde_json::{Value, json};

use crate::Api;
use crate::answer::Answer;
use crate::incoming::Incoming;
use crate::operation::Facts;
use crate::problem::{FieldFault, Problem};
use crate::repeat::Repeat;
use crate::requests::{Condition, IdempotencyKey, ListQuery, ListRules, Query};

/// A call as handlers get it.
pub struct Call {
    /// Who acts, where, and on what condition: what goes into the transaction.
    pub acting: Acting,
    /// What the operation is declared to be.
    pub facts: Rc<Facts>,
    /// Who calls and from where, for the log of record.
    pub origin: Origin,
    /// When the call came.
    pub now: DateTime<Utc>,
    /// The parameters of the query.
    pub query: Query,
    /// The key under which the answer is kept for a retry, and what two requests with it must have in common.
    pub key: Option<(IdempotencyKey, Vec<u8>)>,
    /// The request itself.
    pub incoming: Incoming,
}

/// Who acts, where, and on what condition.
#[derive(Debug, Clone)]
pub struct Acting {
    /// The tenant that the call is about.
    pub tenant: TenantId,
    /// Who calls.
    pub caller: Caller,
    /// The permission that let them.
    pub permission: Option<Permission>,
    /// What `If-Match` demands.
    pub condition: Condition,
    /// Whether nothing must come of it.
    pub dry_run: bool,
    /// When the call came.
    pub now: DateTime<Utc>,
}

/// Why a transaction of a handler comes to nothing.
#[derive(Debug)]
pub enum Stop {
    /// Something is wrong. Everything is rolled back.
    Problem(Problem),
    /// A rule refuses it to this caller. Everything is rolled back but the event that tells of it (`audit_1`).
    Refused(Problem, Box<Event>),
}

impl<E: Into<Problem>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

impl Stop {
    /// A rule refuses it to this caller.
    pub fn refused(problem: Problem, event: Event) -> Self {
        Self::Refused(problem, Box::new(event))
    }
}

/// What a handler's transaction comes to.
pub type Outcome<A> = Result<Change<Answer<A>>, Stop>;

impl Call {
    /// Where everything is.
    pub fn api(&self) -> &Api {
        &self.incoming.api
    }

    /// The tenant that the call is about.
    pub fn tenant(&self) -> TenantId {
        self.acting.tenant
    }

    /// An id out of the path. What is no id is told like an unknown one (`tenant_1`).
    pub fn id<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.text(name).parse().map_err(|_| Problem::NotFound)
    }

    /// A parameter of the path as it stands there.
    pub fn text(&self, name: &str) -> &str {
        self.incoming
            .path
            .iter()
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// The page of the list that is asked for.
    pub fn page(&self) -> Result<ListQuery, Problem> {
        const ANY: &ListRules = &ListRules {
            filters: &[],
            sorts: &[],
        };
        let mut list = format!("{} of {}", self.facts.id, self.tenant());
        // What lies below one thing is another list than what lies below the next.
        let below = self.incoming.path.iter();
        for (_, id) in below.filter(|(name, _)| *name != "tenant") {
            list.push('/');
            list.push_str(id);
        }
        let authority = &self.api().authority;
        self.facts.list.unwrap_or(ANY).read(
            &self.query,
            &list,
            authority.keyring(),
            authority.database().entropy(),
        )
    }

    /// The address of something below the API's base.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.api().base)
    }

    fn database(&self) -> Database {
        let database = self.api().authority.database();
        if self.facts.urgent {
            database.reserved()
        } else {
            database.clone()
        }
    }

    /// Reads of the tenant that the call is about.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut ReadTx<'_>, &Acting) -> Result<T, Stop> + Send + 'static,
    {
        self.read_in(Scope::Tenant(self.tenant()), work).await
    }

    /// Reads.
    pub async fn read_in<T, F>(&self, scope: Scope, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut ReadTx<'_>, &Acting) -> Result<T, Stop> + Send + 'static,
    {
        let acting = self.acting.clone();
        let found = self
            .database()
            .read(scope, move |tx: &mut ReadTx<'_>| work(tx, &acting))
            .await;
        match found {
            Ok(found) => Ok(found),
            Err(Stop::Problem(problem)) => Err(problem),
            // audit_1: the refusal of somebody who is known leaves an event, or is not told.
            Err(Stop::Refused(problem, event)) => {
                let database = self.api().authority.database();
                record_refusal(database, self.origin.clone(), self.now, *event).await?;
                Err(problem)
            }
        }
    }

    /// What the transaction of an operation may see that is open to operators too: an operator acts for the platform,
    /// and everybody else for their tenant.
    pub fn scope(&self) -> Scope {
        if self.acting.is_for_platform() {
            Scope::Platform(Some(self.tenant()))
        } else {
            Scope::Tenant(self.tenant())
        }
    }

    /// Changes something of the tenant that the call is about.
    pub async fn change<A, F>(self, work: F) -> Result<Answer<A>, Problem>
    where
        A: 'static,
        F: FnOnce(&mut ChangeTx<'_>, &Acting) -> Outcome<A> + Send + 'static,
    {
        let scope = Scope::Tenant(self.tenant());
        self.change_in(scope, work).await
    }

    /// Changes something: with its events, once for one `Idempotency-Key`, and without effect in a dry run.
    pub async fn change_in<A, F>(self, scope: Scope, work: F) -> Result<Answer<A>, Problem>
    where
        A: 'static,
        F: FnOnce(&mut ChangeTx<'_>, &Acting) -> Outcome<A> + Send + 'static,
    {
        let database = self.database().rehearsing(self.acting.dry_run);
        let repeat = Repeat::of(&self);
        let Self {
            acting,
            origin,
            now,
            ..
        } = self;
        database
            .change(scope, origin, now, move |tx| {
                if let Some(repeat) = &repeat
                    && let Some(repeated) = repeat.find(tx)?
                {
                    return Ok(repeated);
                }
                match work(tx, &acting) {
                    Ok(Change::Made(answer, events)) => {
                        if let Some(repeat) = &repeat {
                            repeat.keep(tx, answer.kept())?;
                        }
                        Ok(Change::Made(Ok(answer), events))
                    }
                    // That there was nothing to do is an answer too: a retry must not find something later.
                    Ok(Change::Nothing(answer) | Change::Untouched(answer)) => match &repeat {
                        Some(repeat) => {
                            repeat.keep(tx, answer.kept())?;
                            Ok(Change::Untouched(Ok(answer)))
                        }
                        None => Ok(Change::Nothing(Ok(answer))),
                    },
                    Ok(Change::Refused(_, events)) => {
                        Ok(Change::Refused(Err(Problem::Internal), events))
                    }
                    Err(Stop::Problem(problem)) => Err(problem),
                    Err(Stop::Refused(problem, event)) => {
                        Ok(Change::Refused(Err(problem), Events::from(*event)))
                    }
                }
            })
            .await?
    }
}

impl Acting {
    /// Whether the caller is an operator, and the call about a tenant that is not their own.
    pub fn is_for_platform(&self) -> bool {
        self.caller.tenant != self.tenant
    }

    /// What stands in the log of the tenant that the call is about and, of an operator's doing in another's, in that
    /// of the operators too.
    pub fn in_logs(&self, event: impl Fn(TenantId) -> Event) -> Events {
        let events = Events::from(event(self.tenant));
        if self.is_for_platform() {
            events.and(event(self.caller.tenant))
        } else {
            events
        }
    }

    /// Refuses when the caller's permission doesn't reach to an organization (`role_2`): then what lies there
    /// is not to be seen.
    pub fn reach(&self, tx: &mut impl Reads, organization: OrganizationId) -> Result<(), Stop> {
        let Some(permission) = self.permission else {
            return Ok(());
        };
        // Whoever may look at any tenant holds it over that tenant's whole tree too.
        if self.is_for_platform() || self.caller.tops(permission) == Reach::Everything {
            return Ok(());
        }
        let path = organizations::path(tx, self.tenant, organization)?;
        self.caller.may_in(permission, &path).map_err(|_| {
            let why =
                json!({ "reason": "another organization", "permission": permission.as_str() });
            let target = Target::Organization(organization);
            Stop::refused(Problem::NotFound, refusal_event(&self.caller, target, why))
        })
    }

    /// The organizations that the caller's permission reaches to; nothing when it is all of them.
    pub fn visible(
        &self,
        tx: &mut impl Reads,
    ) -> Result<Option<Vec<OrganizationId>>, StorageError> {
        let Some(permission) = self.permission.filter(|_| !self.is_for_platform()) else {
            return Ok(None);
        };
        match self.caller.tops(permission) {
            Reach::Everything => Ok(None),
            Reach::Subtrees(tops) => {
                let tops: Vec<_> = tops.into_iter().collect();
                organizations::subtree(tx, self.tenant, &tops).map(Some)
            }
        }
    }

    /// The same, of these only one that is named, if one is.
    pub fn visible_among(
        &self,
        tx: &mut impl Reads,
        named: Option<OrganizationId>,
    ) -> Result<Option<Vec<OrganizationId>>, StorageError> {
        let visible = self.visible(tx)?;
        Ok(match (named, visible) {
            (None, visible) => visible,
            (Some(named), None) => Some(vec![named]),
            (Some(named), Some(visible)) => {
                Some(visible.into_iter().filter(|seen| *seen == named).collect())
            }
        })
    }

    /// Demands that the caller holds all of this, each over the same organization or one above it: nobody comes by
    /// more than they have, and nobody gives more (`role_3`).
    pub fn check_holds(&self, tx: &mut impl Reads, held: &HeldPermissions) -> Result<(), Stop> {
        let tops: BTreeSet<OrganizationId> = held.iter().map(|(_, over)| over).collect();
        let paths = tops
            .into_iter()
            .map(|over| Ok((over, organizations::path(tx, self.tenant, over)?)))
            .collect::<Result<BTreeMap<_, _>, StorageError>>()?;
        let conveyed = held
            .iter()
            .map(|(permission, over)| (permission, paths.get(&over).cloned().unwrap_or_default()));
        self.caller
            .may_come_by(conveyed)
            .map_err(|refusal| self.refuse(refusal))
    }

    /// Refuses what the root owner alone may do.
    pub fn refuse_to_others_than_the_root_owner(&self) -> Stop {
        let why = json!({ "reason": "not the root owner" });
        let target = Target::Tenant(self.tenant);
        Stop::refused(
            Problem::NotTheRootOwner,
            refusal_event(&self.caller, target, why),
        )
    }

    /// Stops with the refusal of a rule.
    pub fn refuse(&self, refusal: AccessRefusal) -> Stop {
        let (problem, why) = match refusal {
            AccessRefusal::ForeignTenant => {
                (Problem::NotFound, json!({ "reason": "another tenant" }))
            }
            AccessRefusal::MissingPermission(permission) => (
                Problem::Forbidden(permission),
                json!({ "missing_permission": permission.as_str() }),
            ),
        };
        let target = self.caller.target();
        Stop::refused(problem, refusal_event(&self.caller, target, why))
    }
}

/// The event of a refusal stands in the log of the tenant whose actor was refused.
pub fn refusal_event(caller: &Caller, target: Target, why: Value) -> Event {
    Event::new(caller.tenant, Action::AccessRefused, target).after(why)
}

/// `audit_1`: puts a refusal on record in a change of its own. If it can't be written, that is told instead; the
/// caller gets nothing either way.
pub async fn record_refusal(
    database: &Database,
    origin: Origin,
    now: DateTime<Utc>,
    event: Event,
) -> Result<(), StorageError> {
    let scope = Scope::Tenant(event.tenant);
    database
        .change(scope, origin, now, move |_tx| Ok(Change::made((), event)))
        .await
}

/// Demands that the name typed to confirm is the very name.
pub fn confirm(typed: Option<&str>, name: &str, place: FieldFault) -> Result<(), Problem> {
    if typed.is_some_and(|typed| confirms(name, typed)) {
        Ok(())
    } else {
        Err(Problem::ConfirmationMismatch(place))
    }
}
