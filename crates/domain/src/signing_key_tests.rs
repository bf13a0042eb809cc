use super::*;

use SigningAlgorithm::{EdDsa, Es256, Rs256};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn name(algorithm: SigningAlgorithm, generation: i32) -> KeyName {
    KeyName {
        algorithm,
        generation,
    }
}

fn key(algorithm: SigningAlgorithm, generation: i32, made: i64, signs: i64) -> KeyTimes {
    KeyTimes {
        name: name(algorithm, generation),
        created_at: at(made),
        signs_from: at(signs),
        published_until: None,
    }
}

fn names(new: &[NewKey]) -> Vec<(KeyName, DateTime<Utc>)> {
    new.iter().map(|key| (key.name, key.signs_from)).collect()
}

#[test]
fn of_the_keys_that_may_sign_the_newest_does() {
    let keys = [
        key(Es256, 1, 0, 0),
        key(Es256, 2, 100, 700),
        key(Es256, 3, 200, 800),
        key(EdDsa, 7, 0, 0),
    ];
    for (now, generation) in [(0, 1), (699, 1), (700, 2), (799, 2), (800, 3), (9_999, 3)] {
        assert_eq!(
            signer(keys, Es256, at(now)),
            Some(name(Es256, generation)),
            "{now}"
        );
    }
    assert_eq!(signer(keys, EdDsa, at(0)), Some(name(EdDsa, 7)));
    assert_eq!(signer([], Es256, at(0)), None);
}

#[test]
fn until_an_algorithm_has_a_key_that_may_sign_the_default_does() {
    let keys = [key(Es256, 1, 0, 0), key(Rs256, 1, 100, 700)];
    for (now, expected) in [
        (100, name(Es256, 1)),
        (699, name(Es256, 1)),
        (700, name(Rs256, 1)),
    ] {
        assert_eq!(signer(keys, Rs256, at(now)), Some(expected), "{now}");
    }
    assert_eq!(signer(keys, EdDsa, at(700)), Some(name(Es256, 1)));
    // Where the default's is the one that is missing, whatever is there.
    let other = [key(EdDsa, 1, 0, 0), key(Es256, 1, 100, 700)];
    assert_eq!(signer(other, Es256, at(100)), Some(name(EdDsa, 1)));
    assert_eq!(signer(other, Es256, at(700)), Some(name(Es256, 1)));
    // A key that nobody may have yet never signs, though there be no other.
    assert_eq!(signer([key(Es256, 2, 0, 700)], Es256, at(699)), None);
}

#[test]
fn a_first_key_signs_by_a_clock_too_that_is_behind_the_one_by_which_it_was_made() {
    let first = [key(Es256, 1, 5, 5)];
    assert_eq!(signer(first, Es256, at(3)), Some(name(Es256, 1)));
    let published_first = [key(Es256, 1, 5, 6)];
    assert_eq!(signer(published_first, Es256, at(5)), None);
}

#[test]
fn a_key_that_is_not_published_any_more_never_signs() {
    let gone = KeyTimes {
        published_until: Some(at(10)),
        ..key(Es256, 1, 0, 0)
    };
    assert!(gone.is_published(at(9)));
    assert!(!gone.is_published(at(10)));
    assert_eq!(signer([gone], Es256, at(9)), Some(name(Es256, 1)));
    assert_eq!(signer([gone], Es256, at(10)), None);
}

#[test]
fn the_first_keys_are_one_of_each_algorithm_and_sign_at_once() {
    let made = KeySchedule::default().first_keys(&[], [], at(0));
    assert_eq!(
        names(&made),
        [Es256, EdDsa, Rs256].map(|algorithm| (name(algorithm, 1), at(0)))
    );
}

#[test]
fn an_algorithm_that_comes_later_is_published_before_it_signs() {
    let schedule = KeySchedule::default();
    let keys = [key(Es256, 3, 0, 0)];
    assert_eq!(schedule.first_keys(&keys, [Es256], at(9)), []);
    let made = schedule.first_keys(&keys, [Rs256, Es256, EdDsa, Rs256], at(9));
    let later = at(9 + 615);
    assert_eq!(
        names(&made),
        [(name(EdDsa, 1), later), (name(Rs256, 1), later)]
    );
}

#[test]
fn the_next_key_is_published_until_every_cache_has_it_and_the_old_one_until_its_last_token_is_over()
{
    let keys = [
        key(Es256, 1, 0, 0),
        key(Es256, 2, 50, 60),
        key(EdDsa, 1, 40, 40),
    ];
    let schedule = KeySchedule::new(TimeDelta::seconds(100), None);
    let next = schedule.next_keys(&keys, at(49), at(1_000));
    assert_eq!(
        next,
        [NewKey {
            name: name(EdDsa, 2),
            signs_from: at(1_000 + 200 + 15),
        }],
        "the newest ES256 key is younger than that"
    );
    assert_eq!(
        schedule.old_published_until(at(1_215)),
        at(1_215 + 86_400 + 100)
    );
    let all = schedule.next_keys(&keys, at(50), at(1_000));
    let all: Vec<_> = all.iter().map(|key| key.name).collect();
    assert_eq!(all, [name(Es256, 3), name(EdDsa, 2)]);
    assert_eq!(schedule.next_keys(&[], at(9_999), at(1_000)), []);
}

#[test]
fn keys_are_due_at_an_age_or_never() {
    let daily = KeySchedule::new(TimeDelta::seconds(1), Some(TimeDelta::days(1)));
    assert_eq!(daily.due_until(at(86_400)), Some(at(0)));
    let never = KeySchedule::new(TimeDelta::seconds(1), None);
    assert_eq!(never.due_until(at(86_400)), None);
    let absurd = KeySchedule::new(TimeDelta::seconds(1), Some(TimeDelta::MAX));
    assert_eq!(absurd.due_until(at(0)), None);
}

/// Numbers that look random and are the same each time (Knuth's generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let high = i64::try_from(self.0 >> 33).unwrap();
        high % bound
    }

    fn algorithm(&mut self) -> SigningAlgorithm {
        SigningAlgorithm::ALL[usize::try_from(self.below(3)).unwrap()]
    }
}

/// New keys, each with when it is made.
type Making = Vec<(NewKey, DateTime<Utc>)>;

/// Servers whose clocks are up to 2 s off, keys whose commit takes a while, verifiers that keep what they got.
struct Play {
    dice: Dice,
    schedule: KeySchedule,
    /// How often there is no spare key for RS256.
    stock_is_empty: bool,
    clock: i64,
    keys: Vec<KeyTimes>,
    /// What is under way to be committed, and when it will be.
    under_way: Vec<(i64, Making)>,
    /// What each verifier keeps, and since when.
    caches: [Option<(i64, Vec<KeyName>)>; 3],
    /// Tokens by key and expiry.
    tokens: Vec<(KeyName, i64)>,
}

impl Play {
    /// What some server's clock says.
    fn now(&mut self) -> DateTime<Utc> {
        at(self.clock + self.dice.below(5) - 2)
    }

    fn write(&mut self, new: &[(NewKey, DateTime<Utc>)]) {
        if new
            .iter()
            .any(|(new, _)| self.keys.iter().any(|key| key.name == new.name))
        {
            return; // another server was faster, and the whole change is rolled back
        }
        for (new, created_at) in new {
            for old in &mut self.keys {
                if old.name.algorithm == new.name.algorithm && old.published_until.is_none() {
                    let until = self.schedule.old_published_until(new.signs_from);
                    old.published_until = Some(until);
                }
            }
            self.keys.push(KeyTimes {
                name: new.name,
                created_at: *created_at,
                signs_from: new.signs_from,
                published_until: None,
            });
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.clock += seconds;
        let clock = self.clock;
        let (over, rest) = std::mem::take(&mut self.under_way)
            .into_iter()
            .partition(|(when, _)| *when <= clock);
        self.under_way = rest;
        for (_, new) in over {
            self.write(&new);
        }
    }

    /// Makes the first keys that are needed, and waits for them.
    fn need(&mut self, algorithm: SigningAlgorithm, now: DateTime<Utc>) {
        let mut new = self.schedule.first_keys(&self.keys, [algorithm], now);
        if self.stock_is_empty {
            new.retain(|key| key.name.algorithm != Rs256);
        }
        let new: Vec<_> = new.into_iter().map(|key| (key, now)).collect();
        let delay = self.dice.below(11);
        self.pass(delay);
        self.write(&new);
    }

    fn rotate(&mut self) {
        let now = self.now();
        let new = self
            .schedule
            .next_keys(&self.keys, at(i64::from(u32::MAX)), now);
        let new = new.into_iter().map(|key| (key, now)).collect();
        let when = self.clock + self.dice.below(11);
        self.under_way.push((when, new));
    }

    fn sign(&mut self) {
        let (algorithm, now) = (self.dice.algorithm(), self.now());
        self.need(algorithm, now);
        let name = signer(self.keys.clone(), algorithm, now).expect("a key");
        let lifetime = 60 + self.dice.below(86_400 - 59);
        let expiry = now + TimeDelta::seconds(lifetime);
        self.tokens.push((name, (expiry - at(0)).num_seconds()));
    }

    /// Lets a verifier look for the key of a token, as it may.
    fn verify(&mut self, token: usize) {
        let (name, expiry) = self.tokens[token];
        if expiry <= self.clock {
            self.tokens.swap_remove(token);
            return;
        }
        let who = usize::try_from(self.dice.below(3)).unwrap();
        let max_age = self.schedule.jwks_max_age().num_seconds();
        if self.caches[who]
            .as_ref()
            .is_none_or(|(since, _)| self.clock >= since + max_age)
        {
            self.fetch(who);
        }
        let (since, kept) = self.caches[who].as_ref().unwrap();
        assert!(
            kept.contains(&name),
            "at {} a verifier that has {kept:?} since {since} meets {name:?} of {:?}",
            self.clock,
            self.keys
        );
    }

    fn fetch(&mut self, who: usize) {
        let now = self.now();
        self.need(Es256, now);
        let published = self.keys.iter().filter(|key| key.is_published(now));
        let published = published.map(|key| key.name).collect();
        self.caches[who] = Some((self.clock, published));
    }
}

#[test]
fn no_verifier_that_keeps_a_set_as_long_as_it_may_meets_a_key_that_it_lacks() {
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let max_age = [1, 2, 30, 300, 3_600][usize::try_from(dice.below(5)).unwrap()];
        let mut play = Play {
            schedule: KeySchedule::new(TimeDelta::seconds(max_age), None),
            stock_is_empty: false,
            clock: 0,
            keys: Vec::new(),
            under_way: Vec::new(),
            caches: [None, None, None],
            tokens: Vec::new(),
            dice,
        };
        for _ in 0..400 {
            play.stock_is_empty = play.dice.below(3) == 0;
            let step = [0, 1, 2, max_age / 2, max_age, 4_000];
            let step = step[usize::try_from(play.dice.below(6)).unwrap()];
            play.pass(step);
            match play.dice.below(8) {
                0 => play.rotate(),
                1 => play.fetch(0),
                2 | 3 => play.sign(),
                _ if play.tokens.is_empty() => {}
                // The youngest ones, and any.
                4 | 5 => play.verify(play.tokens.len() - 1),
                _ => {
                    let any = play.dice.below(i64::try_from(play.tokens.len()).unwrap());
                    play.verify(usize::try_from(any).unwrap());
                }
            }
        }
        assert!(play.keys.len() > 3, "keys were made: {seed}");
    }
}
