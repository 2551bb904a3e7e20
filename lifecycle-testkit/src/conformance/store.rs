//! The suite for [`RolloutStore`].

use std::sync::Arc;

use async_trait::async_trait;
use lifecycle_core::backend::{BackendResult, ErrorKind, Record, RolloutStore, StoreVersion, Token};
use lifecycle_core::machine::State;
use lifecycle_core::plan::{Amount, Hold, Mode, PlanBuilder, Weight};
use lifecycle_core::time::Millis;
use lifecycle_core::version::Version;

use super::suite::{CUTS, Call, Suite, Verdict, cut_off, ensure, fail, run, together};
use super::{Able, Report};

/// A rollout store under test: one empty place to store a record.
#[async_trait]
pub trait StoreBench: Send + Sync {
    /// Opens the place, as one more process would. The first one that opens it finds it empty.
    async fn open(&self) -> BackendResult<Arc<dyn RolloutStore>>;

    /// Is what was saved still there once every handle is gone?
    ///
    /// # Errors
    /// Says why not. Default: it is.
    fn outlives_the_process(&self) -> Able<()> {
        Ok(())
    }
}

/// Runs every case of the contract of [`RolloutStore`]; `make` makes an empty place for each.
pub async fn rollout_store<F, B>(make: impl Fn() -> F) -> Report
where
    F: Future<Output = BackendResult<B>>,
    B: StoreBench,
{
    let mut suite = Suite::new("RolloutStore", make);
    run!(suite;
        nothing_is_stored_at_first,
        what_was_saved_is_loaded,
        every_save_has_another_version,
        a_record_comes_back_as_it_was,
        a_stale_version_is_a_conflict,
        none_is_a_conflict_once_something_is_stored,
        a_version_that_never_was_is_a_conflict,
        a_conflict_leaves_record_and_version,
        every_handle_sees_the_same_record,
        of_savers_at_the_same_time_exactly_one_wins,
        a_save_that_is_dropped_is_done_or_not_done,
        a_saved_record_is_there_for_the_next_process,
    );
    suite.report
}

fn record(epoch: u32) -> Record {
    let mut state = State::default();
    state.epoch = epoch;
    Record::of(state)
}

/// The epoch that is stored and its version, `None` when nothing is.
async fn stored(store: &dyn RolloutStore) -> Verdict<Option<(u32, StoreVersion)>> {
    Ok(store.load().await?.map(|stored| (stored.record.state.epoch, stored.version)))
}

async fn expect_conflict(
    store: &dyn RolloutStore,
    record: &Record,
    expected: Option<StoreVersion>,
) -> Verdict {
    let told = format!("{expected:?}");
    match store.save(record, expected).await {
        Ok(version) => fail(format!("a save that expected {told} was accepted as {version:?}")),
        Err(error) => ensure(error.kind == ErrorKind::Conflict, || format!("this is no conflict: {error}")),
    }
}

async fn nothing_is_stored_at_first(bench: &impl StoreBench) -> Verdict {
    let seen = stored(&*bench.open().await?).await?;
    ensure(seen.is_none(), || format!("there is {seen:?}"))
}

async fn what_was_saved_is_loaded(bench: &impl StoreBench) -> Verdict {
    let store = bench.open().await?;
    let mut version = None;
    for epoch in 1..=3 {
        let saved = store.save(&record(epoch), version).await?;
        let seen = stored(&*store).await?;
        ensure(seen == Some((epoch, saved.clone())), || {
            format!("saved {epoch} as {saved:?}, loaded {seen:?}")
        })?;
        version = Some(saved);
    }
    Ok(())
}

async fn every_save_has_another_version(bench: &impl StoreBench) -> Verdict {
    let store = bench.open().await?;
    let mut versions = Vec::new();
    for epoch in [1, 1, 2, 1] {
        let version = store.save(&record(epoch), versions.last().cloned()).await?;
        ensure(!versions.contains(&version), || format!("{version:?} was used twice"))?;
        versions.push(version);
    }
    Ok(())
}

/// A record with all that may be hard to write down.
fn rich_record() -> Verdict<Record> {
    let mut state = State::serving(Version::new(1, 4, 0), "é\"\\\n\u{1f980}", u32::MAX);
    state.token = Token(u64::MAX);
    state.progress.baked = Millis(u64::MAX);
    let plan = PlanBuilder::new("canary 'quoted' \u{0}", Mode::Routed { dynamic_stable: true })
        .limits(Amount::Percent(25), Amount::Replicas(0))
        .step(Hold::new(Weight::FULL, Millis::from_secs(1)))
        .build();
    match plan {
        Ok(plan) => Ok(Record::new(state, Some(Arc::new(plan)))),
        Err(error) => fail(error.to_string()),
    }
}

async fn a_record_comes_back_as_it_was(bench: &impl StoreBench) -> Verdict {
    let store = bench.open().await?;
    let record = rich_record()?;
    store.save(&record, None).await?;
    let loaded = store.load().await?.map(|stored| stored.record);
    ensure(loaded.as_ref() == Some(&record), || format!("saved {record:?}, loaded {loaded:?}"))
}

async fn a_stale_version_is_a_conflict(bench: &impl StoreBench) -> Verdict {
    let store = bench.open().await?;
    let first = store.save(&record(1), None).await?;
    store.save(&record(2), Some(first.clone())).await?;
    expect_conflict(&*store, &record(3), Some(first)).await
}

async fn none_is_a_conflict_once_something_is_stored(bench: &impl StoreBench) -> Verdict {
    let store = bench.open().await?;
    store.save(&record(1), None).await?;
    expect_conflict(&*store, &record(2), None).await
}

async fn a_version_that_never_was_is_a_conflict(bench: &impl StoreBench) -> Verdict {
    let store = bench.open().await?;
    let unknown = Some(StoreVersion("a version that never was".to_owned()));
    expect_conflict(&*store, &record(1), unknown).await?;
    let seen = stored(&*store).await?;
    ensure(seen.is_none(), || format!("the refused save left {seen:?}"))
}

async fn a_conflict_leaves_record_and_version(bench: &impl StoreBench) -> Verdict {
    let store = bench.open().await?;
    let first = store.save(&record(1), None).await?;
    let second = store.save(&record(2), Some(first.clone())).await?;
    for stale in [None, Some(first)] {
        expect_conflict(&*store, &record(3), stale).await?;
        let seen = stored(&*store).await?;
        ensure(seen == Some((2, second.clone())), || format!("the refused save left {seen:?}"))?;
    }
    store.save(&record(4), Some(second)).await?;
    Ok(())
}

async fn every_handle_sees_the_same_record(bench: &impl StoreBench) -> Verdict {
    let (one, two) = (bench.open().await?, bench.open().await?);
    let first = one.save(&record(1), None).await?;
    let seen = stored(&*two).await?;
    ensure(seen == Some((1, first.clone())), || {
        format!("saved {first:?} by one handle, another sees {seen:?}")
    })?;
    two.save(&record(2), Some(first.clone())).await?;
    expect_conflict(&*one, &record(3), Some(first)).await
}

async fn of_savers_at_the_same_time_exactly_one_wins(bench: &impl StoreBench) -> Verdict {
    let mut handles = Vec::new();
    for _ in 0..5 {
        handles.push(bench.open().await?);
    }
    let mut version = None;
    for round in 0..10 {
        let epochs = (1..).map(|saver| round * 10 + saver);
        let saves = handles.iter().zip(epochs).map(|(store, epoch)| {
            let expected = version.clone();
            Box::pin(async move { (epoch, store.save(&record(epoch), expected).await) }) as Call<'_, _>
        });
        let mut winner = None;
        let saves: Vec<Call<'_, (u32, BackendResult<StoreVersion>)>> = saves.collect();
        for (epoch, answer) in together(saves).await {
            match answer {
                Ok(saved) if winner.is_none() => winner = Some((epoch, saved)),
                Ok(saved) => return fail(format!("{winner:?} won, and {epoch} as {saved:?} too")),
                // a backend may also be too busy for one of them
                Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::Transient) => {}
                Err(error) => return Err(error.into()),
            }
        }
        ensure(winner.is_some(), || "nobody won".to_owned())?;
        let seen = stored(&*handles[0]).await?;
        ensure(seen == winner, || format!("{winner:?} won, stored is {seen:?}"))?;
        version = winner.map(|(_, version)| version);
    }
    Ok(())
}

async fn a_save_that_is_dropped_is_done_or_not_done(bench: &impl StoreBench) -> Verdict {
    let store = bench.open().await?;
    let rich = rich_record()?;
    let mut version = store.save(&record(1), None).await?;
    for polls in CUTS {
        let answer = cut_off(store.save(&rich, Some(version.clone())), polls).await;
        let after = store.load().await?;
        let Some(after) = after else {
            return fail(format!("dropped after {polls} polls: nothing is stored"));
        };
        let done = after.record == rich && after.version != version;
        let not_done = after.record == record(1) && after.version == version;
        ensure(done || not_done, || format!("dropped after {polls} polls: stored is {after:?}"))?;
        ensure(done || !matches!(answer, Some(Ok(_))), || {
            "it was acknowledged and is not stored".to_owned()
        })?;
        // whatever it was, the next save goes on from there
        version = store.save(&record(1), Some(after.version)).await?;
    }
    Ok(())
}

async fn a_saved_record_is_there_for_the_next_process(bench: &impl StoreBench) -> Verdict {
    bench.outlives_the_process()?;
    let store = bench.open().await?;
    let version = store.save(&record(1), None).await?;
    drop(store);
    let seen = stored(&*bench.open().await?).await?;
    ensure(seen == Some((1, version.clone())), || {
        format!("saved {version:?}, the next process sees {seen:?}")
    })
}
