//! Tests of the coalescer, by a batch function that runs as a test tells it to.

use std::pin::Pin;
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc as std_mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::runtime::Runtime;

use super::*;

/// Longer than any machine takes; never waited for when all is well.
const LONG: Duration = Duration::from_secs(60);

/// What a batch comes to.
enum Ending {
    /// Each key is answered by its double and the number of the batch, but for [`UNKNOWN`].
    Answers,
    Fails(Fault),
    Panics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    OfAll,
    OfOneKey,
}

/// A key that has no answer.
const UNKNOWN: u32 = 404;
/// A key that spoils the batch that it is in.
const SPOILER: u32 = 13;

/// A batch that has begun.
struct Run {
    keys: Vec<u32>,
    number: usize,
    end: oneshot::Sender<Ending>,
}

impl Run {
    fn ends(self, ending: Ending) {
        assert!(
            self.end.send(ending).is_ok(),
            "the batch ended before it was told to"
        );
    }
}

/// Tells the test of each batch that begins, and waits for the test to end it.
struct Controlled {
    begun: Mutex<std_mpsc::Sender<Run>>,
    count: AtomicUsize,
}

#[derive(Debug, PartialEq, Eq)]
struct Told {
    double: u32,
    batch: usize,
}

fn answers(keys: Vec<u32>, batch: usize) -> HashMap<u32, Told> {
    let known = keys.into_iter().filter(|key| *key != UNKNOWN);
    known
        .map(|key| {
            let double = key * 2;
            (key, Told { double, batch })
        })
        .collect()
}

impl Batch for Controlled {
    type Key = u32;
    type Answer = Told;
    type Error = Fault;

    async fn run(&self, keys: Vec<u32>) -> Result<HashMap<u32, Told>, Fault> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        let (end, ended) = oneshot::channel();
        let run = Run {
            keys: keys.clone(),
            number,
            end,
        };
        self.begun.lock().unwrap().send(run).unwrap();
        match ended.await.unwrap() {
            Ending::Answers => Ok(answers(keys, number)),
            Ending::Fails(fault) => Err(fault),
            Ending::Panics => panic!("as the test wants it"),
        }
    }

    fn is_of_one_key(fault: &Fault) -> bool {
        *fault == Fault::OfOneKey
    }
}

type Asked = Pin<Box<dyn Future<Output = Result<Option<Arc<Told>>, Unanswered<Fault>>> + Send>>;

/// A coalescer, and the ends of the strings that its batches hang on.
struct Stage {
    coalescer: Coalescer<Controlled>,
    runs: std_mpsc::Receiver<Run>,
    runtime: Runtime,
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

fn limits(batches: usize) -> Limits {
    Limits {
        batches,
        size: 256,
        waiting: 1_000,
        patience: LONG,
    }
}

impl Stage {
    fn new(limits: Limits) -> Self {
        let (begun, runs) = std_mpsc::channel();
        let batch = Controlled {
            begun: Mutex::new(begun),
            count: AtomicUsize::new(0),
        };
        Self {
            coalescer: Coalescer::new(batch, limits),
            runs,
            runtime: runtime(),
        }
    }

    /// A question that is in the queue when this returns.
    fn ask(&self, key: u32) -> Asked {
        let coalescer = self.coalescer.clone();
        let mut asked: Asked = Box::pin(async move { coalescer.ask(key).await });
        let _entered = self.runtime.enter();
        let first = asked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(first, Poll::Pending), "answered at once");
        asked
    }

    fn asks(&self, keys: impl IntoIterator<Item = u32>) -> Vec<Asked> {
        keys.into_iter().map(|key| self.ask(key)).collect()
    }

    fn next_run(&self) -> Run {
        let mut run = self.runs.recv_timeout(LONG).unwrap();
        run.keys.sort_unstable();
        run
    }

    fn answer(&self, asked: Asked) -> Result<Option<Arc<Told>>, Unanswered<Fault>> {
        self.runtime.block_on(asked)
    }

    /// The batch that answered a question, and what it answered.
    fn told(&self, asked: Asked) -> (usize, u32) {
        let told = self.answer(asked).unwrap().unwrap();
        (told.batch, told.double)
    }

    /// How many questions are in the queue.
    fn waiting(&self) -> usize {
        let arrivals = self.coalescer.0.arrivals.lock().unwrap();
        let arrivals = arrivals.as_ref().unwrap();
        arrivals.max_capacity() - arrivals.capacity()
    }
}

/// Waits until something holds, for a minute at most.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[test]
fn what_waits_while_a_batch_runs_is_answered_by_the_next_one_alone() {
    let stage = Stage::new(limits(1));
    let first = stage.ask(1);
    let begun = stage.next_run();
    let waiting = stage.asks(100..200);
    begun.ends(Ending::Answers);
    let second = stage.next_run();
    assert_eq!(second.keys, (100..200).collect::<Vec<_>>());
    second.ends(Ending::Answers);
    assert_eq!(stage.told(first), (0, 2));
    for (key, asked) in (100..).zip(waiting) {
        assert_eq!(stage.told(asked), (1, key * 2));
    }
}

#[test]
fn askers_on_many_runtimes_at_once_share_a_batch() {
    const ASKERS: u32 = 64;
    let stage = Stage::new(limits(1));
    let blocker = stage.ask(1);
    let begun = stage.next_run();
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..ASKERS)
            .map(|asker| {
                let coalescer = &stage.coalescer;
                // Several ask about the same.
                scope.spawn(move || runtime().block_on(coalescer.ask(asker / 4)).unwrap())
            })
            .collect();
        until("all wait", || stage.waiting() == ASKERS as usize);
        begun.ends(Ending::Answers);
        let one = stage.next_run();
        assert_eq!(one.keys, (0..ASKERS / 4).collect::<Vec<_>>());
        one.ends(Ending::Answers);
        for (asker, told) in (0..).zip(askers) {
            let told = told.join().unwrap().unwrap();
            assert_eq!((told.batch, told.double), (1, asker / 4 * 2));
        }
    });
    assert_eq!(stage.told(blocker), (0, 2));
    assert_eq!(stage.coalescer.0.batch.count.load(Ordering::SeqCst), 2);
}

#[test]
fn a_question_joins_no_batch_that_has_begun_not_even_about_the_same() {
    let stage = Stage::new(limits(2));
    let early = stage.ask(7);
    let first = stage.next_run();
    let late = stage.ask(7);
    let second = stage.next_run();
    assert_eq!((&first.keys, &second.keys), (&vec![7], &vec![7]));
    // The later batch is over first: still each question is answered by its own.
    second.ends(Ending::Answers);
    assert_eq!(stage.told(late), (1, 14));
    first.ends(Ending::Answers);
    assert_eq!(stage.told(early), (0, 14));
}

#[test]
fn one_question_alone_waits_for_no_company() {
    let stage = Stage::new(limits(2));
    for round in 0..5 {
        let asked = stage.ask(round);
        stage.next_run().ends(Ending::Answers);
        assert_eq!(stage.told(asked).1, round * 2);
    }
}

#[test]
fn a_key_without_an_answer_is_told_so() {
    let stage = Stage::new(limits(1));
    let asked = stage.asks([1, UNKNOWN]);
    let mut answered = Vec::new();
    while answered.len() < 2 {
        let run = stage.next_run();
        answered.extend(run.keys.clone());
        run.ends(Ending::Answers);
    }
    let told: Vec<bool> = asked
        .into_iter()
        .map(|asked| stage.answer(asked).unwrap().is_some())
        .collect();
    assert_eq!(told, [true, false]);
}

#[test]
fn no_batch_is_larger_and_no_more_run_at_once_than_is_allowed() {
    let few = Limits {
        size: 3,
        ..limits(2)
    };
    let stage = Stage::new(few);
    let (mut asked, mut begun) = (Vec::new(), Vec::new());
    for key in [1, 2] {
        asked.push(stage.ask(key));
        begun.push(stage.next_run());
    }
    asked.extend(stage.asks(3..11));
    // Both batches run, so nothing more is taken from the queue until one of them ends.
    assert_eq!(stage.waiting(), 8);
    let mut sizes = Vec::new();
    for run in begun {
        run.ends(Ending::Answers);
    }
    while sizes.iter().sum::<usize>() < 8 {
        let run = stage.next_run();
        sizes.push(run.keys.len());
        assert!(run.number < 5, "{sizes:?}");
        run.ends(Ending::Answers);
    }
    assert_eq!(sizes, [3, 3, 2]);
    for asked in asked {
        assert!(stage.answer(asked).is_ok());
    }
}

/// Counts how many batches run at once, and gives way a while in each.
struct Crowd {
    running: AtomicUsize,
    most: AtomicUsize,
    batches: AtomicUsize,
}

impl Batch for Crowd {
    type Key = usize;
    type Answer = usize;
    type Error = Fault;

    async fn run(&self, keys: Vec<usize>) -> Result<HashMap<usize, usize>, Fault> {
        let at_once = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(at_once, Ordering::SeqCst);
        self.batches.fetch_add(1, Ordering::SeqCst);
        for _ in 0..20 {
            tokio::task::spawn_blocking(std::thread::yield_now)
                .await
                .unwrap();
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        Ok(keys.into_iter().map(|key| (key, key + 1)).collect())
    }

    fn is_of_one_key(_: &Fault) -> bool {
        false
    }
}

#[test]
fn a_crowd_is_answered_rightly_by_far_fewer_batches_of_which_two_run_at_once() {
    const THREADS: usize = 4;
    const TASKS: usize = 16;
    const ROUNDS: usize = 10;
    let crowd = Crowd {
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        batches: AtomicUsize::new(0),
    };
    let coalescer = Coalescer::new(crowd, limits(2));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let coalescer = coalescer.clone();
            scope.spawn(move || {
                runtime().block_on(async {
                    let mut tasks = JoinSet::new();
                    for task in 0..TASKS {
                        let coalescer = coalescer.clone();
                        tasks.spawn(async move {
                            for round in 0..ROUNDS {
                                let key = (thread * TASKS + task) * ROUNDS + round;
                                let told = coalescer.ask(key).await.unwrap().unwrap();
                                assert_eq!(*told, key + 1);
                            }
                        });
                    }
                    while let Some(task) = tasks.join_next().await {
                        task.unwrap();
                    }
                });
            });
        }
    });
    let crowd = &coalescer.0.batch;
    let batches = crowd.batches.load(Ordering::SeqCst);
    assert!(batches < THREADS * TASKS * ROUNDS / 4, "{batches} batches");
    assert_eq!(crowd.most.load(Ordering::SeqCst), 2);
}

#[test]
fn a_failure_reaches_everybody_in_the_batch_and_nobody_else() {
    let stage = Stage::new(limits(1));
    let before = stage.ask(1);
    let begun = stage.next_run();
    let failed = stage.asks([2, 3, 3, 4]);
    begun.ends(Ending::Answers);
    stage.next_run().ends(Ending::Fails(Fault::OfAll));
    for asked in failed {
        match stage.answer(asked) {
            Err(Unanswered::Failed(fault)) => assert_eq!(*fault, Fault::OfAll),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stage.told(before), (0, 2));
    let after = stage.ask(5);
    stage.next_run().ends(Ending::Answers);
    assert_eq!(stage.told(after), (2, 10));
}

#[test]
fn a_failure_that_one_key_can_cause_leaves_that_key_alone_with_it() {
    let stage = Stage::new(limits(1));
    let blocker = stage.ask(100);
    let begun = stage.next_run();
    let asked: Vec<(u32, Asked)> = (0..64).map(|key| (key, stage.ask(key))).collect();
    begun.ends(Ending::Answers);
    let mut tries = 0;
    let mut left = 64;
    while left > 0 {
        let run = stage.next_run();
        tries += 1;
        let spoilt = run.keys.contains(&SPOILER);
        if !spoilt || run.keys.len() == 1 {
            left -= run.keys.len();
        }
        run.ends(if spoilt {
            Ending::Fails(Fault::OfOneKey)
        } else {
            Ending::Answers
        });
    }
    assert_eq!(tries, 13, "the whole, and two halves on each of six levels");
    for (key, asked) in asked {
        match stage.answer(asked) {
            Ok(told) => assert_eq!((told.unwrap().double, key != SPOILER), (key * 2, true)),
            Err(Unanswered::Failed(fault)) => {
                assert_eq!((*fault, key), (Fault::OfOneKey, SPOILER));
            }
            Err(other) => panic!("{key}: {other}"),
        }
    }
    assert!(stage.answer(blocker).is_ok());
}

#[test]
fn a_batch_that_panics_breaks_off_for_those_in_it_and_its_place_is_free_again() {
    let stage = Stage::new(limits(2));
    // Oftener than there are places: one that is not given back would show.
    for round in 0..5 {
        let asked = stage.ask(round);
        stage.next_run().ends(Ending::Panics);
        assert!(matches!(stage.answer(asked), Err(Unanswered::Broken)));
    }
    let asked = stage.ask(8);
    stage.next_run().ends(Ending::Answers);
    assert_eq!(stage.told(asked).1, 16);
}

#[test]
fn a_batch_outlives_the_runtime_of_whoever_began_it() {
    let stage = Stage::new(limits(1));
    let blocker = stage.ask(1);
    let begun = stage.next_run();
    // Both are in the next batch, which the one that goes away asked for first.
    let gone = runtime();
    let coalescer = stage.coalescer.clone();
    let going = gone.spawn(async move { coalescer.ask(2).await });
    gone.block_on(tokio::task::yield_now());
    until("the first waits", || stage.waiting() == 1);
    let staying = stage.ask(3);
    begun.ends(Ending::Answers);
    let shared = stage.next_run();
    assert_eq!(shared.keys, [2, 3]);
    drop(gone);
    shared.ends(Ending::Answers);
    assert_eq!(stage.told(staying), (1, 6));
    assert!(stage.runtime.block_on(going).unwrap_err().is_cancelled());
    let later = stage.ask(4);
    stage.next_run().ends(Ending::Answers);
    assert_eq!(stage.told(later), (2, 8));
    assert!(stage.answer(blocker).is_ok());
}

#[test]
fn the_first_runtime_that_ever_asked_may_end_too() {
    let stage = Stage::new(limits(1));
    {
        let first = runtime();
        let coalescer = stage.coalescer.clone();
        let asking = first.spawn(async move { coalescer.ask(1).await });
        first.block_on(tokio::task::yield_now());
        stage.next_run().ends(Ending::Answers);
        first.block_on(asking).unwrap().unwrap();
    }
    let asked = stage.ask(2);
    stage.next_run().ends(Ending::Answers);
    assert_eq!(stage.told(asked), (1, 4));
}

#[test]
fn who_goes_away_before_the_batch_is_not_asked_for_and_during_it_harms_nobody() {
    let stage = Stage::new(limits(1));
    let blocker = stage.ask(1);
    let begun = stage.next_run();
    drop(stage.ask(2));
    let staying = stage.asks([3, 4]);
    let leaving = stage.ask(5);
    begun.ends(Ending::Answers);
    let run = stage.next_run();
    assert_eq!(run.keys, [3, 4, 5]);
    drop(leaving);
    run.ends(Ending::Answers);
    for (key, asked) in (3..).zip(staying) {
        assert_eq!(stage.told(asked), (1, key * 2));
    }
    // A batch that everybody has left asks about nothing at all.
    let blocking = stage.ask(6);
    let begun = stage.next_run();
    drop(stage.asks([7, 8]));
    begun.ends(Ending::Answers);
    let last = stage.ask(9);
    let run = stage.next_run();
    assert_eq!(run.keys, [9]);
    run.ends(Ending::Answers);
    for asked in [blocker, blocking, last] {
        assert!(stage.answer(asked).is_ok());
    }
}

#[test]
fn a_full_queue_refuses_at_once_and_takes_again_when_there_is_room() {
    let narrow = Limits {
        waiting: 2,
        ..limits(1)
    };
    let stage = Stage::new(narrow);
    let mut asked = vec![stage.ask(1)];
    let begun = stage.next_run();
    asked.extend(stage.asks([2, 3]));
    let refused = stage.runtime.block_on(stage.coalescer.ask(4));
    assert!(matches!(refused, Err(Unanswered::Crowded)), "{refused:?}");
    begun.ends(Ending::Answers);
    stage.next_run().ends(Ending::Answers);
    asked.push(stage.ask(5));
    stage.next_run().ends(Ending::Answers);
    for asked in asked {
        assert!(stage.answer(asked).is_ok());
    }
}

#[test]
fn patience_ends_for_who_waits_in_the_queue_and_for_who_is_in_a_batch() {
    let hasty = Limits {
        patience: Duration::from_millis(20),
        ..limits(1)
    };
    let stage = Stage::new(hasty);
    let in_a_batch = stage.ask(1);
    let begun = stage.next_run();
    let in_the_queue = stage.ask(2);
    for asked in [in_a_batch, in_the_queue] {
        assert!(matches!(stage.answer(asked), Err(Unanswered::Late)));
    }
    drop(begun);
}

fn is_gone(batch: &Weak<Controlled>) -> bool {
    batch.strong_count() == 0
}

#[test]
fn nothing_is_left_when_the_last_handle_is_dropped() {
    let Stage {
        coalescer,
        runs,
        runtime,
    } = Stage::new(limits(2));
    let batch = Arc::downgrade(&coalescer.0.batch);
    let clone = coalescer.clone();
    let asking = runtime.spawn(async move { clone.ask(1).await });
    runtime.block_on(tokio::task::yield_now());
    let first = runs.recv_timeout(LONG).unwrap();
    first.ends(Ending::Answers);
    runtime.block_on(asking).unwrap().unwrap();
    assert!(!is_gone(&batch), "the thread waits for the next question");
    drop(coalescer);
    until("the thread has ended", || is_gone(&batch));
}

#[test]
fn a_batch_that_nobody_can_wait_for_any_more_ends_with_the_last_handle() {
    let Stage {
        coalescer,
        runs,
        runtime,
    } = Stage::new(limits(2));
    let batch = Arc::downgrade(&coalescer.0.batch);
    let clone = coalescer.clone();
    runtime.spawn(async move { clone.ask(1).await });
    runtime.block_on(tokio::task::yield_now());
    let stuck = runs.recv_timeout(LONG).unwrap();
    drop((coalescer, runtime));
    until("the thread has ended", || is_gone(&batch));
    assert!(stuck.end.is_closed(), "the batch was dropped");
}
