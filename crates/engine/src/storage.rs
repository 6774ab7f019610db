//! The image store in view of the containers: checking it, and keeping disk space free.

use image::{CheckReport, GcPolicy, ImageId, Pruned, User};

use crate::blocking;
use crate::engine::Engine;
use crate::error::Result;

impl Engine {
    /// Looks at every layer and document, and for what nobody owns; mends what it finds if asked.
    pub async fn check_images(&self, repair: bool) -> Result<CheckReport> {
        let engine = self.clone();
        let check = move || engine.images().check(repair, &|id| engine.image_users(id));
        Ok(blocking(check).await?)
    }

    /// Frees space as far as `policy` wants. Blocks.
    pub fn collect_images(&self, policy: &GcPolicy) -> Result<Pruned> {
        Ok(self.images().collect(policy, &|id| self.image_users(id))?)
    }

    /// The containers that were made from an image, as the store asks for them.
    pub fn image_users(&self, id: &ImageId) -> Vec<User> {
        self.users_of_image(id)
            .into_iter()
            .map(|(container, running)| User { container, running })
            .collect()
    }
}
