use lifecycle_core::backend::{BackendError, Counted, Counts, ErrorKind, Increase, Mark};
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber, parse_version};

use super::*;
use crate::PodMetrics;
use crate::answer::{CHANGED, COUNT, FAILED, LIMIT, NOW, SCRAPED, Series, THEN, UNKNOWN, YOUNG};

fn query(signal: Signal, hash: &str, seconds: u64) -> HealthQuery {
    let revision = Revision::new(RevisionNumber(1), hash, parse_version("1.5.0").unwrap());
    HealthQuery::new(signal, revision, Millis::from_secs(seconds))
}

fn target() -> Target {
    let queries = [("depth", "sum(depth)"), ("age", r#"max(age{revision="{{revision}}"})"#)];
    let queries = queries.map(|(name, text)| (name.into(), text.into()));
    Target::new("default", "edge").with_queries(&queries).unwrap()
}

fn asked(queries: &[HealthQuery]) -> Questions {
    Questions::new(Metrics::default(), &target(), queries, Clock::new(Mark(1_000_500), Millis(1000)))
}

fn promql(questions: &Questions) -> Vec<String> {
    questions.questions().iter().map(Question::promql).collect()
}

#[test]
fn both_arms_share_a_question_and_windows_do_not() {
    let named = |name: &str| Signal::Named(name.into());
    let both = |signal: &Signal, a, b| [query(signal.clone(), "aaa", a), query(signal.clone(), "bbb", b)];
    for (signal, windows, questions) in [
        (Signal::Requests, (60, 60), 1),
        (Signal::Requests, (60, 300), 2),
        (Signal::Latency, (60, 60), 1),
        (Signal::CriticalAlerts, (60, 300), 1),
        (named("depth"), (60, 60), 1),
        (named("age"), (60, 60), 2),
    ] {
        let asked = asked(&both(&signal, windows.0, windows.1));
        assert_eq!(asked.questions().len(), questions, "{signal:?} {windows:?}: {:#?}", promql(&asked));
    }
    let all = [Signal::Requests, Signal::Latency, Signal::CriticalAlerts].map(|signal| both(&signal, 60, 60));
    assert_eq!(asked(all.as_flattened()).questions().len(), 3);
    assert!(asked(&[]).questions().is_empty());
}

#[test]
fn the_scope_is_the_deployment_and_the_revision() {
    let promql = |signal| promql(&asked(&[query(signal, "aaa", 60)])).remove(0);
    let scope = r#"{namespace="default",agent="edge",revision="aaa"}[60s]"#;
    let requests = promql(Signal::Requests);
    assert!(requests.contains(&format!("http_requests_total{scope}")), "{requests}");
    assert!(requests.contains(r#""lifecycle_count", "failed", "code", "5..")"#), "{requests}");
    assert!(promql(Signal::Latency).contains(&format!("http_request_duration_seconds_bucket{scope}")));
    assert_eq!(
        promql(Signal::CriticalAlerts),
        r#"count by (namespace, agent, revision) (ALERTS{namespace="default",agent="edge",revision=~"|aaa",alertstate="firing",severity="critical"})"#
    );
}

#[test]
fn every_name_can_be_another_one() {
    let metrics = || -> Result<Metrics, crate::NameError> {
        Metrics::default()
            .requests("istio_requests_total")?
            .durations("istio_request_duration_milliseconds", crate::DurationUnit::Milliseconds)?
            .code_label("response_code")?
            .failed_codes("5..|0")
            .namespace_label(Some("destination_workload_namespace"))?
            .agent_label(None)?
            .revision_label("destination_version")?
            .critical_alerts("priority", "P1")?
            .with_label("cluster", "a\"b")
    };
    let signals = [Signal::Requests, Signal::Latency, Signal::CriticalAlerts];
    let queries = signals.map(|signal| query(signal, "aaa", 60));
    let questions =
        Questions::new(metrics().unwrap(), &target(), &queries, Clock::new(Mark(1_000_500), Millis(1000)));
    let scope = r#"cluster="a\x22b",destination_workload_namespace="default""#;
    let promql = promql(&questions);
    let [requests, latency, alerts] = &promql[..] else { panic!("{promql:?}") };
    let series = format!(r#"istio_requests_total{{{scope},destination_version="aaa"}}[60s]"#);
    assert!(requests.contains(&series), "{requests}");
    assert!(requests.contains(r#""failed", "response_code", "5..|0")"#), "{requests}");
    let by = "sum by (destination_workload_namespace, destination_version, lifecycle_count)";
    assert!(requests.contains(by), "{requests}");
    assert!(latency.contains("istio_request_duration_milliseconds_bucket{"), "{latency}");
    assert!(alerts.contains(&format!(
        r#"ALERTS{{{scope},destination_version=~"|aaa",alertstate="firing",priority="P1"}}"#
    )));
}

#[test]
fn readings_come_in_the_order_of_the_queries() {
    let queries = [
        query(Signal::Named("nothing".into()), "aaa", 60),
        query(Signal::Requests, "bbb", 60),
        query(Signal::CriticalAlerts, "aaa", 60),
        query(Signal::Requests, "aaa", 60),
        query(Signal::Named("depth".into()), "aaa", 60),
    ];
    let questions = asked(&queries);
    assert_eq!(questions.questions().len(), 3);
    let counted = |hash, value| of(hash, "", value);
    let answers = [
        Ok(Answer::Vector(vec![
            counted("aaa", 1.0),
            counted("bbb", 2.0),
            of("aaa", SCRAPED, 0.0),
            of("bbb", SCRAPED, 0.0),
        ])),
        Err(BackendError::new("prometheus", "measure", ErrorKind::Transient, "slow")),
    ];
    let readings = questions.readings(&answers, &mut Ends::new());
    let kinds: Vec<Result<Reading, ErrorKind>> =
        readings.into_iter().map(|reading| reading.map_err(|error| error.kind)).collect();
    let counts = |requests| Ok(Reading::Counts { requests, failed: 0 });
    let expected = [
        Err(ErrorKind::NotFound),
        counts(2),
        Err(ErrorKind::Transient),
        counts(1),
        // one answer too few
        Err(ErrorKind::Transient),
    ];
    assert_eq!(kinds, expected);
}

/// A series of an answer about this revision.
fn of(hash: &str, count: &str, value: f64) -> Series {
    Series::new([("namespace", "default"), ("agent", "edge"), ("revision", hash), (COUNT, count)], value)
}

/// What two arms are told since this mark, at this time of Prometheus, when it answers this.
struct Looks {
    ends: Ends,
    /// Was there more to ask in the last look?
    asked_more: bool,
}

impl Looks {
    fn look(
        &mut self,
        now: i64,
        since: Option<i64>,
        answer: Vec<Series>,
    ) -> [Result<Reading, BackendError>; 2] {
        let clock = Clock::new(Mark(now), Millis(1000));
        let both = ["aaa", "bbb"].map(|hash| {
            HealthQuery::over(
                Signal::Requests,
                query(Signal::Requests, hash, 0).revision,
                Span::Since(since.map(Mark)),
            )
        });
        let mut questions = Questions::new(Metrics::default(), &target(), &both, clock);
        let at = questions.questions().first().map(Question::until).unwrap_or_default();
        let answer: Vec<Series> = answer.into_iter().map(|series| series.of(at.0 as f64 / 1000.0)).collect();
        let mut answers = vec![Ok(Answer::Vector(answer.clone()))];
        self.asked_more = !questions.more(&answers).is_empty();
        if self.asked_more {
            answers.push(Ok(Answer::Vector(answer)));
        }
        let readings = questions.readings(&answers, &mut self.ends);
        readings.try_into().unwrap()
    }
}

fn increase(until: i64, counted: Option<(u64, u64)>) -> Reading {
    let counts = counted.map(|(failed, requests)| Counted::Requests(Counts::new(failed, requests).unwrap()));
    Reading::Increase(Increase::new(Mark(until), counts))
}

#[test]
fn both_arms_are_counted_from_what_the_answer_before_has_ended_with() {
    let mut looks = Looks { ends: Ends::new(), asked_more: false };
    let begin = vec![of("aaa", NOW, 100.0), of("bbb", NOW, 1000.0), of("bbb", SCRAPED, 4.9)];
    let readings = looks.look(6_300, None, begin).map(Result::unwrap);
    assert_eq!(readings, [increase(5_000, None), increase(5_000, None)]);
    let answer = |then, unknown: &[Series]| {
        let a = [of("aaa", "", 20.0), of("aaa", FAILED, 3.0), of("aaa", THEN, then), of("aaa", NOW, 123.0)];
        let b = [of("bbb", "", 200.0), of("bbb", THEN, 1000.0), of("bbb", NOW, 1200.0)];
        [&a[..], &b[..], unknown].concat()
    };
    let counted = [increase(14_000, Some((3, 23))), increase(14_000, Some((0, 200)))];
    let nothing = [increase(14_000, None), increase(14_000, None)];
    let whole = answer(100.0, &[]);
    assert_eq!(looks.look(15_700, Some(5_000), whole.clone()).map(Result::unwrap), counted);
    // the answer got lost on its way: it is asked for again
    assert_eq!(looks.look(15_700, Some(5_000), whole.clone()).map(Result::unwrap), counted);
    let broken = answer(100.0, &[of("bbb", UNKNOWN, 1.0)]);
    assert_eq!(looks.look(15_700, Some(5_000), broken).map(Result::unwrap), nothing, "a counter was reset");
    let late = answer(101.0, &[]);
    assert_eq!(looks.look(15_700, Some(5_000), late).map(Result::unwrap), nothing, "a scrape came late");
    let elsewhere = Looks { ends: Ends::new(), asked_more: false }.look(15_700, Some(5_000), whole.clone());
    assert_eq!(elsewhere.map(Result::unwrap), nothing, "who asks was started anew");
    let too_old = looks.look(3_700_700, Some(5_000), whole).map(Result::unwrap);
    assert_eq!(too_old, [increase(3_699_000, None), increase(3_699_000, None)]);
}

#[test]
fn an_arm_without_series_is_no_data_and_counts_from_zero_when_it_has_some() {
    let mut looks = Looks { ends: Ends::new(), asked_more: false };
    let b = |then, now| [of("bbb", "", now - then), of("bbb", THEN, then), of("bbb", NOW, now)];
    let begin = looks.look(6_000, None, vec![of("bbb", NOW, 10.0)]).map(Result::unwrap);
    assert_eq!(begin, [increase(5_000, None), increase(5_000, None)]);
    let readings = looks.look(9_000, Some(5_000), b(10.0, 11.0).to_vec()).map(Result::unwrap);
    assert_eq!(readings, [Reading::NoData, increase(8_000, Some((0, 1)))]);
    let new = [of("aaa", FAILED, 7.0), of("aaa", NOW, 7.0)];
    let readings = looks.look(13_000, Some(8_000), [&new[..], &b(11.0, 15.0)].concat()).map(Result::unwrap);
    assert_eq!(readings, [increase(12_000, Some((7, 7))), increase(12_000, Some((0, 4)))]);
}

#[test]
fn what_is_no_increase_is_an_error_by_its_name() {
    let mut looks = Looks { ends: Ends::new(), asked_more: false };
    let said = |looks: &mut Looks, now, answer| {
        let since = (now != 6_000).then_some(5_000);
        looks.look(now, since, answer).map(|reading| reading.map_err(|error| error.message))
    };
    let [a, b] = said(&mut looks, 4_000, vec![]);
    assert!(a.clone().unwrap_err().contains("is 1000 ms behind the mark of an earlier answer"), "{a:?}");
    assert_eq!(a, b);
    let [a, b] = said(&mut looks, 500_000, vec![of("aaa", SCRAPED, 300.0), of("bbb", SCRAPED, 490.0)]);
    assert_eq!(a.unwrap_err(), "the newest scrape is 3m19s old, more than 2m30s: is Prometheus scraping?");
    assert!(b.is_ok(), "{b:?}");
    let nan = vec![of("aaa", "", f64::NAN)];
    assert_eq!(said(&mut looks, 6_000, vec![]), [Ok(increase(5_000, None)), Ok(increase(5_000, None))]);
    let nan = looks.look(9_000, Some(5_000), nan).map(|reading| reading.map_err(|error| error.message));
    assert_eq!(nan[0].clone().unwrap_err(), "NaN is no number of requests");
    let clock = Clock::new(Mark(9_000), Millis(1000));
    let since = Span::Since(Some(Mark(5_000)));
    let one = [HealthQuery::over(Signal::Requests, query(Signal::Requests, "aaa", 0).revision, since)];
    let questions = Questions::new(Metrics::default(), &target(), &one, clock);
    let readings =
        questions.readings(&[Ok(Answer::Vector(vec![of("aaa", "", 1.0).of(9.0)]))], &mut Ends::new());
    let error = readings[0].as_ref().unwrap_err();
    assert!(error.message.contains("about another moment than was asked for"), "{error}");
}

#[test]
fn what_is_not_counted_has_no_increase() {
    let clock = Clock::new(Mark(9_000), Millis(1000));
    let revision = query(Signal::Requests, "aaa", 0).revision;
    let of = |signal| HealthQuery::over(signal, revision.clone(), Span::Since(None));
    let queries = [of(Signal::Named("depth".into())), of(Signal::CriticalAlerts)];
    let questions = Questions::new(Metrics::default(), &target(), &queries, clock);
    // an alert fires now, whatever the time that is asked about
    let [question] = questions.questions() else { panic!("{questions:?}") };
    assert!(question.promql().contains("ALERTS"));
    let readings = questions.readings(&[Ok(Answer::Vector(vec![]))], &mut Ends::new());
    assert_eq!(readings[0].as_ref().unwrap_err().kind, ErrorKind::Unsupported);
    assert_eq!(*readings[1].as_ref().unwrap(), Reading::Scalar(0.0));
}

/// Where Prometheus is asked first, its moment is part of the question.
#[test]
fn an_increase_is_asked_for_at_its_moment() {
    let clock = Clock::new(Mark(1_700_000_010_500), Millis(1000));
    let since = Span::Since(Some(Mark(1_700_000_000_000)));
    let queries = [Signal::Requests, Signal::Latency]
        .map(|signal| HealthQuery::over(signal, query(Signal::Requests, "aaa", 0).revision, since));
    let questions = Questions::new(Metrics::default(), &target(), &queries, clock);
    for question in questions.questions() {
        assert_eq!(question.parameters()[1], ("time", "1700000009.000".to_owned()));
        let promql = question.promql();
        assert!(promql.contains("@ 1700000000.000") && promql.contains("[9s]"), "{promql}");
    }
}

/// A source that tells the requests of replicas apart, and not their durations, has none to tell.
#[test]
fn durations_in_native_histograms_are_of_no_replica() {
    let metrics = Metrics::default().native_durations("d", crate::DurationUnit::Seconds).unwrap();
    let bins = Span::Replicas { width: Millis::from_secs(60), bins: 5 };
    let query = HealthQuery::over(Signal::Latency, query(Signal::Latency, "aaa", 0).revision, bins);
    let questions = Questions::new(metrics, &target(), &[query], Clock::new(Mark(1_000_500), Millis(1000)));
    assert!(questions.questions().is_empty());
    let readings = questions.readings::<Answer>(&[], &mut Ends::new());
    assert_eq!(*readings[0].as_ref().unwrap(), Reading::Replicas(vec![]));
}

#[test]
fn more_is_asked_where_the_difference_is_not_all() {
    let steady =
        |hash| [of(hash, "", 9.0), of(hash, FAILED, 1.0), of(hash, THEN, 90.0), of(hash, NOW, 100.0)];
    let check = |of_a: &[Series], more: bool| {
        let mut looks = Looks { ends: Ends::new(), asked_more: false };
        let begin = vec![of("aaa", NOW, 90.0), of("bbb", NOW, 90.0)];
        assert!(looks.look(6_000, None, begin).iter().all(Result::is_ok) && !looks.asked_more);
        let answer = [of_a, &steady("bbb")].concat();
        assert!(looks.look(9_000, Some(5_000), answer).iter().all(Result::is_ok));
        assert_eq!(looks.asked_more, more, "{of_a:?}");
    };
    check(&steady("aaa"), false);
    check(&[], false);
    check(&[&steady("aaa")[..], &[of("aaa", CHANGED, 1.0)]].concat(), true);
    // a series is new, one is gone, or all of them are
    check(&[of("aaa", "", 9.0), of("aaa", THEN, 90.0), of("aaa", NOW, 100.0)], true);
    check(&[of("aaa", "", 9.0), of("aaa", THEN, 99.0), of("aaa", NOW, 100.0)], true);
    check(&[of("aaa", THEN, 0.0)], true);
    check(&[of("aaa", NOW, 0.0)], true);
}

/// Both arms are counted in the same way, and each question is asked once.
#[test]
fn more_is_asked_of_both_arms_at_once() {
    let clock = Clock::new(Mark(9_000), Millis(1000));
    let since = Span::Since(Some(Mark(5_000)));
    let ask = |signal, hash| HealthQuery::over(signal, query(Signal::Requests, hash, 0).revision, since);
    let queries = [
        ask(Signal::Requests, "aaa"),
        ask(Signal::Latency, "aaa"),
        ask(Signal::Requests, "bbb"),
        query(Signal::CriticalAlerts, "aaa", 60),
    ];
    let mut questions = Questions::new(Metrics::default(), &target(), &queries, clock);
    let changed = Ok(Answer::Vector(vec![of("bbb", CHANGED, 1.0).of(8.0)]));
    let nothing = Ok(Answer::Vector(vec![]));
    let mut answers = vec![changed, nothing.clone(), nothing];
    let [more] = questions.more(&answers) else { panic!("{questions:?}") };
    let scope = r#"revision=~"aaa|bbb""#;
    assert!(more.promql().contains("lifecycle_count\", \"unknown\"") && more.promql().contains(scope));
    answers.push(Ok(Answer::Vector(vec![])));
    assert!(questions.more(&answers).is_empty(), "there is no end to it");
    let readings = questions.readings(&answers, &mut Ends::new());
    assert!(
        readings[..3].iter().all(|reading| *reading.as_ref().unwrap() == Reading::NoData),
        "{readings:?}"
    );
    // one that failed is not asked about again
    let mut questions = Questions::new(Metrics::default(), &target(), &queries, clock);
    let failed = || Err(BackendError::new("prometheus", "measure", ErrorKind::Transient, "slow"));
    assert!(questions.more::<Answer>(&[failed(), failed(), failed()]).is_empty());
}

#[test]
fn what_is_known_of_pods_is_joined_with_their_labels() {
    let pods = PodMetrics::default().labels("pod_labels", "a", "r").unwrap();
    let metrics = Arc::new(Metrics::istio().with_label("cluster", "x").unwrap().pods(pods));
    let clock = Clock::new(Mark(1_000_500), Millis(1000));
    let promql = |signal: &Signal, hashes: &[&str]| {
        let queries: Vec<_> = hashes.iter().map(|hash| query(signal.clone(), hash, 60)).collect();
        let questions = Questions::new(Arc::clone(&metrics), &target(), &queries, clock);
        let [question] = questions.questions() else { panic!("{questions:?}") };
        question.promql()
    };
    let restarts = promql(&Signal::Restarts, &["aaa", "bbb"]);
    let pods = r#"max by (pod, namespace, a, r) (pod_labels{cluster="x",namespace="default",a="edge",r=~"aaa|bbb"})"#;
    let joined = format!("* on (namespace, pod) group_left (a, r) {pods}");
    assert!(restarts.starts_with("sum by (namespace, a, r) (clamp_min("), "{restarts}");
    for part in [
        &joined,
        r#"kube_pod_container_status_restarts_total{cluster="x",namespace="default"} offset 60s"#,
        r#"kube_pod_created{cluster="x",namespace="default"} >= 939.000"#,
    ] {
        assert!(restarts.contains(part), "{part}: {restarts}");
    }
    let saturation = promql(&Signal::Saturation, &["aaa"]);
    for part in [
        r#"rate(container_cpu_usage_seconds_total{cluster="x",namespace="default"}[60s])"#,
        r#"kube_pod_container_resource_limits{cluster="x",namespace="default",resource="cpu"} > 0"#,
        r#"a="edge",r="aaa"}"#,
    ] {
        assert!(saturation.contains(part), "{part}: {saturation}");
    }
}

#[test]
fn pods_are_measured_over_a_window_and_where_somebody_said_how() {
    let clock = Clock::new(Mark(1_000_500), Millis(1000));
    let said = |metrics: Metrics, signal: Signal, span| {
        let queries = [HealthQuery::over(signal, query(Signal::Requests, "aaa", 0).revision, span)];
        let questions = Questions::new(metrics, &target(), &queries, clock);
        assert!(questions.questions().is_empty(), "{questions:?}");
        questions.readings::<Answer>(&[], &mut Ends::new()).remove(0).unwrap_err().message
    };
    let window = Span::Window(Millis::from_secs(60));
    assert_eq!(
        said(Metrics::default(), Signal::Restarts, window),
        "restarts without metrics of pods is not measured by Prometheus"
    );
    for signal in [Signal::Restarts, Signal::Saturation] {
        for span in [Span::Since(None), Span::Replicas { width: Millis::from_secs(60), bins: 5 }] {
            let metrics = Metrics::default().pods(PodMetrics::default());
            let said = said(metrics, signal.clone(), span);
            assert!(said.starts_with(&format!("{signal:?} over")), "{said}");
        }
    }
}

/// What is read of such an answer about the pods of `aaa`: the name and the value of each series.
fn of_pods(signal: &Signal, series: &[(&str, f64)]) -> Result<Reading, String> {
    let metrics = Metrics::default().pods(PodMetrics::default().labels("pods", "a", "r").unwrap());
    let queries = [query(signal.clone(), "aaa", 60)];
    let questions = Questions::new(metrics, &target(), &queries, Clock::new(Mark(1_000_500), Millis(1000)));
    let of = |hash, (count, value)| {
        Series::new([("namespace", "default"), ("a", "edge"), ("r", hash), (COUNT, count)], value).of(999.0)
    };
    // what is said of another revision does not matter
    let others = [("", 9.0), (LIMIT, 9.0), (UNKNOWN, 1.0), (SCRAPED, 1.0)].map(|part| of("bbb", part));
    let series = series.iter().map(|part| of("aaa", *part)).chain(others).collect();
    let mut readings = questions.readings(&[Ok(Answer::Vector(series))], &mut Ends::new());
    readings.remove(0).map_err(|error| error.message)
}

#[test]
fn the_restarts_of_pods_are_a_whole_number_or_a_state_with_a_name() {
    let check = |series: &[(&str, f64)], expected: Result<Reading, &str>| {
        let reading = of_pods(&Signal::Restarts, series);
        assert_eq!(reading, expected.map_err(str::to_owned), "{series:?}");
    };
    check(&[("", 2.0), (SCRAPED, 990.0)], Ok(Reading::Scalar(2.0)));
    check(&[("", 0.0)], Ok(Reading::Scalar(0.0)));
    check(&[], Ok(Reading::NoData));
    check(&[(SCRAPED, 990.0)], Ok(Reading::NoData));
    check(&[("", 0.0), (YOUNG, 1.0)], Ok(Reading::NoData));
    check(&[("", 0.0), (UNKNOWN, 2.0), (YOUNG, 1.0)], Err("2 of the pods were not measured"));
    check(&[("", 0.0), (UNKNOWN, f64::NAN)], Err("NaN is no number of pods"));
    check(&[("", f64::NAN)], Err("NaN is no number of restarts"));
    check(&[("", -3.0)], Err("-3 is no number of restarts"));
    check(
        &[("", 0.0), (SCRAPED, 700.0)],
        Err("the newest scrape is 4m59s old, more than 2m30s: is Prometheus scraping?"),
    );
    let several = of_pods(&Signal::Restarts, &[("", 0.0), ("", 0.0)]).unwrap_err();
    assert!(several.starts_with("2 series where one is expected"), "{several}");
}

#[test]
fn saturation_is_a_share_of_the_limits_or_a_state_with_a_name() {
    let check = |series: &[(&str, f64)], expected: Result<Reading, &str>| {
        let reading = of_pods(&Signal::Saturation, series);
        assert_eq!(reading, expected.map_err(str::to_owned), "{series:?}");
    };
    check(&[("", 3.0), (LIMIT, 4.0), (SCRAPED, 990.0)], Ok(Reading::Scalar(0.75)));
    check(&[("", 0.0), (LIMIT, 4.0)], Ok(Reading::Scalar(0.0)));
    check(&[], Ok(Reading::NoData));
    // nobody has a limit
    check(&[(SCRAPED, 990.0)], Ok(Reading::NoData));
    check(&[("", 0.0), (LIMIT, 0.0)], Ok(Reading::NoData));
    check(&[("", 1.0)], Ok(Reading::NoData));
    check(&[("", 1.0), (LIMIT, 4.0), (YOUNG, 1.0)], Ok(Reading::NoData));
    check(
        &[("", 1.0), (LIMIT, 4.0), (UNKNOWN, 1.0)],
        Err("1 of the containers with a limit were not measured"),
    );
    for (used, limit) in [(f64::NAN, 4.0), (1.0, f64::NAN)] {
        check(&[("", used), (LIMIT, limit)], Err("NaN is no number of processors"));
    }
    check(&[("", -1.0), (LIMIT, 4.0)], Err("-1 is no number of processors"));
    check(&[("", 1.0), (LIMIT, f64::INFINITY)], Err("inf is no number of processors"));
}
