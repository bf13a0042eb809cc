//! Members: the users of one tenant.

use crate::ids::MemberId;
use crate::text::{EmailAddress, PersonName};

/// A member about to be made; how they sign in is recorded apart, later.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// Their id.
    pub id: MemberId,
    /// Their name.
    pub name: PersonName,
    /// Where they are written to.
    pub email: EmailAddress,
}
