//! A Deployment and its pods as a replica group.

use lifecycle_core::backend::{GroupStatus, Token};

use super::{DeploymentSeen, PodSeen};

/// The group of a Deployment with these pods; `failed` is how many readiness verdicts a pod has failed.
///
/// The token of the newest wish is reported once `created` counts it: the controller has acted on the write,
/// and what was to be stopped has been asked to. (Pods that are still to be made are in `desired`.) Until
/// then the wish that was confirmed before is shown, or none.
#[must_use]
pub fn group_status<'a>(
    deployment: &DeploymentSeen,
    pods: impl Iterator<Item = &'a PodSeen>,
    failed: impl Fn(&PodSeen) -> u32,
    before: Option<Confirmed>,
) -> GroupStatus {
    let mut group = GroupStatus::empty(deployment.revision.clone());
    group.trouble = deployment.trouble.clone();
    for pod in pods.filter(|pod| pod.revision == *deployment.revision.hash) {
        group.created += u32::from(pod.is_created());
        group.ready += u32::from(pod.is_ready());
        group.terminating += u32::from(pod.terminating);
        if pod.is_created() {
            group.failed_attempts = group.failed_attempts.max(failed(pod));
            group.trouble = pod.trouble.clone().or(group.trouble);
        }
    }
    // what the endpoints of the Service say is the router's business
    group.available = group.ready;
    let newest = Confirmed { token: deployment.token, desired: deployment.replicas };
    let counted = deployment.observed && group.created <= deployment.replicas;
    let unknown = Confirmed { token: Token::default(), ..newest };
    let confirmed = if counted { newest } else { before.unwrap_or(unknown) };
    (group.token, group.desired) = (confirmed.token, confirmed.desired);
    group
}

/// A wish that has taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirmed {
    /// Its token.
    pub token: Token,
    /// The size that it asked for.
    pub desired: u32,
}

impl Confirmed {
    /// What a group that was shown before has confirmed.
    #[must_use]
    pub const fn of(group: &GroupStatus) -> Self {
        Self { token: group.token, desired: group.desired }
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::version::{Revision, RevisionNumber, Version};

    use super::super::Probing;
    use super::*;

    fn deployment(replicas: u32, observed: bool) -> DeploymentSeen {
        DeploymentSeen {
            name: "a-abc".into(),
            uid: "u1".into(),
            resource_version: "7".into(),
            generation: 1,
            owner: None,
            revision: Revision::new(RevisionNumber(1), "abc", Version::new(1, 5, 0)),
            token: Token(9),
            replicas,
            observed,
            owned: String::new(),
            drift: None,
            terminating: false,
            trouble: None,
        }
    }

    fn pod(revision: &str, ready: bool, terminating: bool) -> PodSeen {
        PodSeen {
            name: "p".into(),
            uid: "p".into(),
            revision: revision.into(),
            replica_set: "rs".into(),
            terminating,
            ended: false,
            ready,
            probing: Probing::Started,
            trouble: None,
        }
    }

    fn status(replicas: u32, observed: bool, pods: &[PodSeen]) -> GroupStatus {
        group_status(
            &deployment(replicas, observed),
            pods.iter(),
            |_| 0,
            Some(Confirmed { token: Token(8), desired: 5 }),
        )
    }

    #[test]
    fn pods_are_counted_by_what_they_are() {
        let pods = [
            pod("abc", true, false),
            pod("abc", false, false),
            pod("abc", true, true),
            pod("other", true, false),
        ];
        let group = status(2, true, &pods);
        assert_eq!((group.created, group.ready, group.available, group.terminating), (2, 1, 1, 1));
        assert_eq!((group.desired, group.token), (2, Token(9)));
    }

    #[test]
    fn a_wish_is_acknowledged_once_the_controller_acted_on_it() {
        let waits = status(2, false, &[]);
        assert_eq!((waits.token, waits.desired), (Token(8), 5));
        assert_eq!(status(2, true, &[]).token, Token(9), "pods that are still to be made are in desired");
    }

    #[test]
    fn a_wish_to_shrink_is_acknowledged_once_the_pods_were_asked_to_stop() {
        let mut pods = vec![pod("abc", true, false), pod("abc", true, false)];
        assert_eq!(status(1, true, &pods).token, Token(8));
        pods[1].terminating = true;
        assert_eq!(status(1, true, &pods).token, Token(9));
    }
}
