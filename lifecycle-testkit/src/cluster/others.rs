//! What others do to a replica group: whoever has the rights, or bad luck. It happens to the newest replica, of the
//! ready ones where there are any. `false` says that there is no such group, or that it has no replica.

use lifecycle_core::version::Revision;

use super::Cluster;
use super::groups::schedule;
use super::inner::Inner;
use super::pod::Pod;
use super::queue::Work;

impl Cluster {
    /// Somebody else changes the recorded size of a group, without a wish: its token stays.
    pub fn change_size(&self, of: &Revision, replicas: u32) -> bool {
        let inner = &mut *self.lock();
        let Some(at) = inner.groups.find(of.number) else { return false };
        inner.groups.list[at].desired = replicas;
        inner.reconcile_soon(at);
        true
    }

    /// Somebody deletes a replica of a group: it drains like any that is stopped, and is replaced.
    pub fn delete_replica(&self, of: &Revision) -> bool {
        let inner = &mut *self.lock();
        let Some((at, i)) = inner.newest(of) else { return false };
        inner.serve_until_now();
        inner.groups.stop(i, inner.now, &mut inner.queue);
        inner.groups.recount(at);
        inner.reconcile_soon(at);
        inner.changed();
        true
    }

    /// A replica of a group fails every probe from now on.
    pub fn break_replica(&self, of: &Revision) -> bool {
        let inner = &mut *self.lock();
        let Some((at, i)) = inner.newest(of) else { return false };
        if inner.groups.account(i, inner.now) {
            inner.changed();
        }
        let groups = &mut inner.groups;
        let pod = &mut groups.pods[i];
        pod.broken = true;
        schedule(pod, &groups.list[at].profile, groups.probe, &mut inner.queue);
        true
    }

    /// A replica of a group dies, and is replaced.
    pub fn kill_replica(&self, of: &Revision) -> bool {
        let inner = &mut *self.lock();
        let Some((at, i)) = inner.newest(of) else { return false };
        inner.serve_until_now();
        inner.groups.leave(i);
        inner.groups.pods.remove(i);
        inner.groups.recount(at);
        inner.reconcile_soon(at);
        inner.changed();
        true
    }
}

impl Inner {
    /// A group, and the one of its replicas that it happens to.
    fn newest(&self, of: &Revision) -> Option<(usize, usize)> {
        let at = self.groups.find(of.number)?;
        let newest =
            |is: fn(&Pod) -> bool| self.groups.pods.iter().rposition(|pod| pod.group == at && is(pod));
        let i = newest(|pod| pod.ready).or_else(|| newest(Pod::is_created))?;
        Some((at, i))
    }

    fn reconcile_soon(&mut self, at: usize) {
        self.queue.push(self.now + self.config.api_latency, Work::Reconcile(at));
    }
}
