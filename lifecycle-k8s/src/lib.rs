//! Rollouts on Kubernetes.
