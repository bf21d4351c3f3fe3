//! From the first dial to the last: enrolment, restarts, moves, losses.

use super::support::{World, summary};
use crate::sim::Path;

#[tokio::test]
async fn a_reef_enrols_over_udp_and_calls_through_the_tunnel() {
    let world = World::udp();
    let colony = world.colony("my-shop-production").await;
    let reef = world.reef("reef-1");
    let channel = reef.dial(&colony.route()).await.unwrap();
    assert_eq!(summary(channel, 3).await.unwrap().colony_id, "my-shop-production");
    reef.close().await;
    colony.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reef_enrols_over_the_simulated_network() {
    let (world, _) = World::sim(Path::default());
    let colony = world.colony("my-shop-production").await;
    let reef = world.reef("reef-1");
    let channel = reef.dial(&colony.route()).await.unwrap();
    assert_eq!(summary(channel, 3).await.unwrap().metrics.len(), 3);
    reef.close().await;
    colony.stop().await;
}
