//! Getting a container's image.

use std::time::Duration;

use super::back_off::BackOff;
use super::container::ContainerTask;
use super::image::Image;

impl ContainerTask {
    /// Answers once the image is there.
    pub(super) async fn pull(&mut self) -> Image {
        let name = self.container.image.clone().unwrap_or_default();
        let mut waits = BackOff::of_pulls(|time| time);
        loop {
            let (reason, why) = match self.try_pull(&name).await {
                Ok(image) => return image,
                Err(refusal) => refusal,
            };
            let wait = waits.after(Duration::ZERO);
            self.wait(reason, why.clone(), Duration::from_secs(1)).await;
            if reason == "ErrImagePull" {
                let message = format!("Back-off pulling image \"{name}\": {reason}: {why}");
                self.wait("ImagePullBackOff", message, wait).await;
            }
        }
    }

    async fn try_pull(&self, name: &str) -> Result<Image, (&'static str, String)> {
        let (pulls, options) = (&self.shared.pulls, &self.shared.options);
        let policy = self.container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
        let (found, present) = (options.images.find(name), pulls.is_present(name));
        match (policy, found) {
            ("Never", Some(image)) => Ok(image),
            ("Never", None) => {
                let why = format!("Container image \"{name}\" is not present with pull policy of Never");
                Err(("ErrImageNeverPull", why))
            }
            (policy, Some(image)) if present && policy != "Always" => Ok(image),
            (_, Some(image)) => {
                if let Some(why) = pulls.refusal(name) {
                    return Err(("ErrImagePull", format!("failed to pull image \"{name}\": {why}")));
                }
                if !present {
                    tokio::time::sleep(options.pull_time).await;
                    pulls.pulled(name);
                }
                Ok(image)
            }
            (_, None) => Err(("ErrImagePull", format!("failed to pull image \"{name}\": {name}: not found"))),
        }
    }
}
