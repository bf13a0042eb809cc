//! What the directory holds, and how a change is applied to it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use grantor_domain::ids::{ClientId, TenantId};
use grantor_domain::suspension::Position;
use grantor_storage::feed_since::{Later, Since};

use super::entries::{ClientEntry, TenantEntry};
use super::shelf::Shelf;

/// All of it, under one lock.
pub(super) struct State<T = TenantEntry, C = ClientEntry> {
    /// Up to where changes are applied; unknown before the first question.
    pub(super) position: Option<Position>,
    /// The tenant of the operators, once it is known.
    pub(super) platform: Option<TenantId>,
    /// When news were last asked for and came.
    pub(super) caught_up: Option<Instant>,
    pub(super) tenants: Shelf<TenantId, T>,
    pub(super) clients: Shelf<(TenantId, ClientId), C>,
}

impl<T, C> State<T, C> {
    /// Takes out what has changed since a position, and then moves on.
    pub(super) fn apply(&mut self, after: Position, since: &Since) {
        match since {
            Since::Unknown(now) => {
                self.tenants.clear();
                self.clients.clear();
                self.position = Some(*now);
            }
            Since::Changes(changes) => {
                // Whoever asked from another place meanwhile has been faster, or all has begun anew.
                let Some(position) = self
                    .position
                    .filter(|at| at.epoch == after.epoch && at.sequence >= after.sequence)
                else {
                    return;
                };
                for change in changes
                    .iter()
                    .filter(|change| change.sequence > position.sequence)
                {
                    self.take_out(change);
                }
                let last = changes
                    .last()
                    .map_or(position.sequence, |last| last.sequence);
                // Only now: whoever reads it finds nothing that the changes up to it have touched.
                self.position = Some(Position {
                    sequence: position.sequence.max(last),
                    ..position
                });
            }
        }
    }

    fn take_out(&mut self, change: &Later) {
        if change.shared {
            // All tenants rest on the platform.
            if self
                .platform
                .is_none_or(|platform| platform == change.tenant)
            {
                self.tenants.clear();
            } else {
                self.tenants.take_out(&change.tenant);
            }
        }
        for id in &change.touched {
            self.clients
                .take_out(&(change.tenant, ClientId::from_uuid(*id)));
        }
    }
}

pub(super) fn read(state: &RwLock<State>) -> RwLockReadGuard<'_, State> {
    // Nothing under this lock panics half-way: whatever it holds is whole.
    state.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn write(state: &RwLock<State>) -> RwLockWriteGuard<'_, State> {
    state.write().unwrap_or_else(PoisonError::into_inner)
}
