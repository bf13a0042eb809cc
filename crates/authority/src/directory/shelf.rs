//! A bounded place for entries, into which a load puts nothing that a change has taken out meanwhile.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What allows one load to put its entry in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

struct Slot<V> {
    entry: Arc<V>,
    /// Whether it was taken since the shelf last looked for something to leave out.
    is_used: AtomicBool,
}

/// Entries by their keys. When it is full, one goes that was not used of late.
pub(super) struct Shelf<K, V> {
    slots: HashMap<K, Slot<V>>,
    /// The loads under way whose entries may come in.
    tickets: HashMap<K, Vec<Ticket>>,
    next_ticket: u64,
    /// The order in which is looked for what to leave out. Keys that are gone may stand in it.
    order: VecDeque<K>,
    most: usize,
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
            tickets: HashMap::new(),
            next_ticket: 0,
            order: VecDeque::new(),
            most: 0,
        }
    }
}

/// Of how many in a row that were used of late it is asked whether they may go.
const ASKED: usize = 64;

impl<K: Clone + Eq + Hash, V> Shelf<K, V> {
    /// One that holds so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    /// The entry of a key.
    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        let slot = self.slots.get(key)?;
        slot.is_used.store(true, Ordering::Relaxed);
        Some(slot.entry.clone())
    }

    /// Announces a load, before its first statement begins.
    pub(super) fn ticket(&mut self, key: K) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.tickets.entry(key).or_default().push(ticket);
        ticket
    }

    /// Ends a load: what it has found comes in, unless its ticket was voided meanwhile.
    pub(super) fn settle(&mut self, key: K, ticket: Ticket, entry: Option<Arc<V>>) {
        let Some(tickets) = self.tickets.get_mut(&key) else {
            return;
        };
        let Some(place) = tickets.iter().position(|known| *known == ticket) else {
            return;
        };
        tickets.swap_remove(place);
        if tickets.is_empty() {
            self.tickets.remove(&key);
        }
        match entry {
            Some(entry) => self.put(key, entry),
            None => {
                self.slots.remove(&key);
            }
        }
    }

    fn put(&mut self, key: K, entry: Arc<V>) {
        let slot = Slot {
            entry,
            is_used: AtomicBool::new(false),
        };
        if self.slots.insert(key.clone(), slot).is_none() {
            self.order.push_back(key);
        }
        let mut asked = 0;
        while self.slots.len() > self.most {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            asked += 1;
            match self.slots.get(&oldest) {
                Some(slot) if asked < ASKED && slot.is_used.swap(false, Ordering::Relaxed) => {
                    self.order.push_back(oldest);
                }
                Some(_) => {
                    self.slots.remove(&oldest);
                }
                None => {}
            }
        }
        if self.order.len() > 2 * self.most.max(ASKED) {
            // Keys that have come and gone many times; whoever is there stands in it once.
            self.order = self.slots.keys().cloned().collect();
        }
    }

    /// Takes out what a change has touched, and voids the tickets of its loads.
    pub(super) fn take_out(&mut self, key: &K) {
        self.slots.remove(key);
        self.tickets.remove(key);
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.tickets.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(most: usize) -> Shelf<u32, u32> {
        Shelf::new(most)
    }

    fn load(shelf: &mut Shelf<u32, u32>, key: u32, value: u32) {
        let ticket = shelf.ticket(key);
        shelf.settle(key, ticket, Some(Arc::new(value)));
    }

    fn at(shelf: &Shelf<u32, u32>, key: u32) -> Option<u32> {
        shelf.get(&key).map(|value| *value)
    }

    #[test]
    fn exactness_b_a_change_during_a_load_keeps_out_what_was_loaded() {
        let mut shelf = shelf(10);
        let begun = shelf.ticket(1);
        shelf.take_out(&1);
        shelf.settle(1, begun, Some(Arc::new(7)));
        assert_eq!(at(&shelf, 1), None);
        // A load that began after it comes in, whichever ends first.
        let (before, after) = (shelf.ticket(1), {
            shelf.take_out(&1);
            shelf.ticket(1)
        });
        shelf.settle(1, after, Some(Arc::new(9)));
        shelf.settle(1, before, Some(Arc::new(8)));
        assert_eq!(at(&shelf, 1), Some(9));
    }

    #[test]
    fn exactness_b_beginning_anew_keeps_out_every_load_under_way() {
        let mut shelf = shelf(10);
        let begun = shelf.ticket(1);
        shelf.clear();
        shelf.settle(1, begun, Some(Arc::new(7)));
        assert_eq!(at(&shelf, 1), None);
    }

    #[test]
    fn what_is_found_gone_is_gone_from_the_shelf() {
        let mut shelf = shelf(10);
        load(&mut shelf, 1, 7);
        let ticket = shelf.ticket(1);
        shelf.settle(1, ticket, None);
        assert_eq!(at(&shelf, 1), None);
    }

    #[test]
    fn it_never_holds_more_than_it_may_and_keeps_what_is_used() {
        let mut shelf = shelf(100);
        for key in 0..100 {
            load(&mut shelf, key, key);
        }
        for round in 0..1_000 {
            // Three are in use all the time, while others come and go.
            for used in [3, 5, 99] {
                assert_eq!(at(&shelf, used), Some(used), "{round}");
            }
            load(&mut shelf, 1_000 + round, round);
            shelf.take_out(&(900 + round));
            assert!(shelf.slots.len() <= 100 && shelf.order.len() <= 201);
        }
        assert!(shelf.tickets.is_empty());
    }
}
