//! One function a case, named after what the contract asks for.

use lifecycle_core::backend::{GroupStatus, ScaleWish, Token};
use lifecycle_core::time::Millis;
use lifecycle_core::version::Revision;

use super::super::suite::{CUTS, Verdict, answered, cut_off, ensure, settle, stays};
use super::super::{Able, Unable};
use super::WorkloadBench;

/// How long a stopped replica may drain in these cases.
const DRAIN: Millis = Millis::from_secs(1);

/// What is reported of a group; an empty one when it is not reported.
async fn group(bench: &impl WorkloadBench, revision: &Revision) -> Verdict<Result<GroupStatus, String>> {
    let groups = match answered(bench.workload().observe().await)? {
        Ok(groups) => groups,
        Err(unreachable) => return Ok(Err(unreachable)),
    };
    let found = groups.into_iter().find(|group| group.revision.number == revision.number);
    Ok(Ok(found.unwrap_or_else(|| GroupStatus::empty(revision.clone()))))
}

fn wish(revision: &Revision, replicas: u32, token: u64) -> ScaleWish {
    ScaleWish::new(revision.clone(), replicas, Token(token), DRAIN)
}

/// Sends a wish, again while the backend is out of reach.
async fn scale(bench: &impl WorkloadBench, wish: &ScaleWish) -> Verdict {
    settle(bench, "answer to a wish", async || answered(bench.workload().scale(wish).await)).await
}

/// Sends a wish that must not count. It may be refused or ignored.
async fn scale_late(bench: &impl WorkloadBench, wish: &ScaleWish) -> Verdict {
    answered(bench.workload().scale(wish).await).map(|_| ())
}

/// Waits until a group is as wished and nothing of it is on its way any more.
async fn settled(bench: &impl WorkloadBench, wish: &ScaleWish) -> Verdict<GroupStatus> {
    let wanted =
        format!("settled group of {} at {} replicas with token {}", wish.revision, wish.replicas, wish.token);
    settle(bench, &wanted, async || {
        Ok(group(bench, &wish.revision).await?.and_then(|group| {
            let counts = [group.desired, group.created, group.ready, group.available];
            let there = counts == [wish.replicas; 4] && group.terminating == 0 && group.token == wish.token;
            if there { Ok(group) } else { Err(format!("{group:?}")) }
        }))
    })
    .await
}

/// Waits until a wish was acknowledged.
async fn acknowledged(bench: &impl WorkloadBench, wish: &ScaleWish) -> Verdict<GroupStatus> {
    settle(bench, &format!("acknowledgement of token {}", wish.token), async || {
        Ok(group(bench, &wish.revision)
            .await?
            .and_then(|group| if group.token >= wish.token { Ok(group) } else { Err(format!("{group:?}")) }))
    })
    .await
}

async fn reach(bench: &impl WorkloadBench, revision: &Revision, replicas: u32, token: u64) -> Verdict {
    let wish = wish(revision, replicas, token);
    scale(bench, &wish).await?;
    settled(bench, &wish).await.map(|_| ())
}

/// For a while, every look at the group holds.
async fn group_stays(
    bench: &impl WorkloadBench,
    revision: &Revision,
    what: &str,
    holds: impl Fn(&GroupStatus) -> bool,
) -> Verdict {
    stays(bench, bench.quiet(), async || match group(bench, revision).await? {
        Ok(group) => ensure(holds(&group), || format!("not {what}: {group:?}")),
        Err(_unreachable) => Ok(()),
    })
    .await
}

fn is_whole(group: &GroupStatus, replicas: u32) -> bool {
    [group.desired, group.created, group.available] == [replicas; 3] && group.terminating == 0
}

pub(super) async fn nothing_is_reported_at_first(bench: &impl WorkloadBench) -> Verdict {
    let groups = bench.workload().observe().await?;
    ensure(groups.is_empty(), || format!("there is {groups:?}"))
}

pub(super) async fn a_wish_creates_replicas_that_serve(bench: &impl WorkloadBench) -> Verdict {
    reach(bench, &bench.revision(1), 2, 1).await
}

pub(super) async fn a_repeated_wish_changes_nothing(bench: &impl WorkloadBench) -> Verdict {
    let revision = bench.revision(1);
    reach(bench, &revision, 2, 1).await?;
    for _ in 0..3 {
        scale(bench, &wish(&revision, 2, 1)).await?;
    }
    group_stays(bench, &revision, "unchanged by repetitions", |group| is_whole(group, 2)).await
}

pub(super) async fn a_wish_with_a_lower_token_is_ignored(bench: &impl WorkloadBench) -> Verdict {
    let revision = bench.revision(1);
    reach(bench, &revision, 2, 5).await?;
    for replicas in [0, 3] {
        scale_late(bench, &wish(&revision, replicas, 4)).await?;
    }
    group_stays(bench, &revision, "untouched by a late wish", |group| {
        is_whole(group, 2) && group.token == Token(5)
    })
    .await
}

pub(super) async fn a_token_is_reported_once_created_counts_its_wish(bench: &impl WorkloadBench) -> Verdict {
    let revision = bench.revision(1);
    for (token, replicas) in (1..).zip([3, 1, 2, 0]) {
        let wish = wish(&revision, replicas, token);
        scale(bench, &wish).await?;
        // from the first look that shows the token
        let group = acknowledged(bench, &wish).await?;
        ensure(group.token == wish.token && group.desired == replicas && group.created <= replicas, || {
            format!("wished for {replicas} with {}: {group:?}", wish.token)
        })?;
        settled(bench, &wish).await?;
    }
    Ok(())
}

pub(super) async fn a_wish_with_a_higher_token_and_the_same_size_is_acknowledged(
    bench: &impl WorkloadBench,
) -> Verdict {
    let revision = bench.revision(1);
    reach(bench, &revision, 1, 1).await?;
    reach(bench, &revision, 1, 7).await
}

pub(super) async fn a_stopped_replica_counts_as_terminating_only_and_is_gone_after_its_drain(
    bench: &impl WorkloadBench,
) -> Verdict {
    let revision = bench.revision(1);
    reach(bench, &revision, 3, 1).await?;
    let wish = wish(&revision, 1, 2);
    scale(bench, &wish).await?;
    acknowledged(bench, &wish).await?;
    group_stays(bench, &revision, "counting one replica", |group| {
        [group.created, group.ready, group.available] == [1; 3] && group.terminating <= 2
    })
    .await?;
    settled(bench, &wish).await.map(|_| ())
}

pub(super) async fn a_group_of_size_zero_still_acknowledges_its_wish(bench: &impl WorkloadBench) -> Verdict {
    let revision = bench.revision(1);
    reach(bench, &revision, 1, 1).await?;
    // `settled` finds no token on a group that is not reported
    reach(bench, &revision, 0, 2).await
}

pub(super) async fn a_group_that_was_emptied_grows_again(bench: &impl WorkloadBench) -> Verdict {
    let revision = bench.revision(1);
    reach(bench, &revision, 2, 1).await?;
    scale(bench, &wish(&revision, 0, 2)).await?;
    // at once, while the stopped ones still drain
    reach(bench, &revision, 1, 3).await
}

pub(super) async fn shrinking_spares_the_replicas_that_serve(bench: &impl WorkloadBench) -> Verdict {
    let revision = bench.revision(1);
    reach(bench, &revision, 1, 1).await?;
    let three = wish(&revision, 3, 2);
    scale(bench, &three).await?;
    acknowledged(bench, &three).await?;
    // the new ones had no time to get ready, or they serve too
    scale(bench, &wish(&revision, 1, 3)).await?;
    group_stays(bench, &revision, "serving all along", |group| group.available >= 1 && group.ready >= 1)
        .await?;
    settled(bench, &wish(&revision, 1, 3)).await.map(|_| ())
}

pub(super) async fn shrinking_stops_unready_replicas_first(bench: &impl WorkloadBench) -> Verdict {
    let revision = bench.revision(1);
    reach(bench, &revision, 3, 1).await?;
    bench.make_unready(&revision, 2).await?;
    settle(bench, "two unready replicas", async || {
        Ok(group(bench, &revision)
            .await?
            .and_then(|group| if group.ready == 1 { Ok(()) } else { Err(format!("{group:?}")) }))
    })
    .await?;
    let one = wish(&revision, 1, 2);
    scale(bench, &one).await?;
    acknowledged(bench, &one).await?;
    group_stays(bench, &revision, "keeping the ready replica", |group| {
        group.ready == 1 && group.available == 1
    })
    .await?;
    settled(bench, &one).await.map(|_| ())
}

fn side_by_side(bench: &impl WorkloadBench) -> Able<()> {
    if bench.workload().capabilities().side_by_side {
        return Ok(());
    }
    Err(Unable::new("the workload cannot run revisions side by side"))
}

pub(super) async fn groups_do_not_touch_each_other(bench: &impl WorkloadBench) -> Verdict {
    side_by_side(bench)?;
    let (one, two) = (bench.revision(1), bench.revision(2));
    reach(bench, &one, 2, 1).await?;
    reach(bench, &two, 1, 2).await?;
    reach(bench, &two, 0, 3).await?;
    // a token of another group does not make this group's next wish a late one
    group_stays(bench, &one, "untouched by the other group", |group| {
        is_whole(group, 2) && group.token == Token(1)
    })
    .await
}

pub(super) async fn every_group_is_reported_once(bench: &impl WorkloadBench) -> Verdict {
    side_by_side(bench)?;
    let (one, two) = (bench.revision(1), bench.revision(2));
    reach(bench, &one, 1, 1).await?;
    reach(bench, &two, 1, 2).await?;
    reach(bench, &one, 0, 3).await?;
    let groups = bench.workload().observe().await?;
    let mut numbers: Vec<_> = groups.iter().map(|group| group.revision.number).collect();
    numbers.sort_unstable();
    let mut expected = [one.number, two.number];
    expected.sort_unstable();
    ensure(numbers == expected, || format!("expected {expected:?}, got {groups:?}"))?;
    let known = groups.iter().all(|group| group.revision == one || group.revision == two);
    ensure(known, || format!("a revision was changed: {groups:?}"))
}

pub(super) async fn a_dead_replica_is_replaced(bench: &impl WorkloadBench) -> Verdict {
    let revision = bench.revision(1);
    reach(bench, &revision, 2, 1).await?;
    bench.kill_replica(&revision).await?;
    // time to notice; the replacement may be there so soon that no look shows the gap
    bench.advance(bench.quiet()).await;
    settled(bench, &wish(&revision, 2, 1)).await.map(|_| ())
}

pub(super) async fn a_replica_that_never_gets_ready_is_counted_and_failed_attempts_rise(
    bench: &impl WorkloadBench,
) -> Verdict {
    let revision = bench.never_ready()?;
    scale(bench, &wish(&revision, 1, 1)).await?;
    settle(bench, "failed readiness verdict", async || {
        let Ok(group) = group(bench, &revision).await? else { return Ok(Err("out of reach".to_owned())) };
        ensure(group.ready == 0 && group.available == 0, || format!("it got ready: {group:?}"))?;
        Ok(if group.created == 1 && group.failed_attempts >= 1 { Ok(()) } else { Err(format!("{group:?}")) })
    })
    .await
}

pub(super) async fn a_repeated_wish_repairs_a_size_that_somebody_else_changed(
    bench: &impl WorkloadBench,
) -> Verdict {
    let revision = bench.revision(1);
    reach(bench, &revision, 2, 1).await?;
    bench.change_size(&revision, 1).await?;
    reach(bench, &revision, 2, 1).await
}

pub(super) async fn a_call_that_is_dropped_is_done_or_not_done(bench: &impl WorkloadBench) -> Verdict {
    let (revision, workload) = (bench.revision(1), bench.workload());
    reach(bench, &revision, 1, 1).await?;
    let mut before = 1;
    for (token, polls) in (2..).zip(CUTS) {
        let after = if before == 1 { 2 } else { 1 };
        let wish = wish(&revision, after, token);
        cut_off(workload.scale(&wish), polls).await;
        cut_off(workload.observe(), polls).await;
        group_stays(bench, &revision, "at the size before or after", |group| {
            group.desired == before || group.desired == after
        })
        .await?;
        scale(bench, &wish).await?;
        settled(bench, &wish).await?;
        before = after;
    }
    Ok(())
}
