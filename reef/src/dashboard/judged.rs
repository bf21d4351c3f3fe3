//! Judged: deployments with their verdicts, each worked out once for as long as the store says the same.

use super::asked::{Asked, Problem};
use super::live;
use crate::answers::deployment::{Deployment, DeploymentQuestion};
use crate::answers::{AnswerError, Answered, DeploymentLine, Question};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Verdicts that are remembered.
const KNOWN_MAX: usize = 500;

/// Colony and id of a deployment.
type Key = (String, String);

/// The verdicts of a state of the store.
#[derive(Default)]
pub struct Known(Mutex<(String, BTreeMap<Key, Arc<Deployment>>)>);

impl Known {
    fn get(&self, tag: &str, key: &Key) -> Option<Arc<Deployment>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 == tag && tag != live::UNKNOWN { known.1.get(key).cloned() } else { None }
    }

    fn put(&self, tag: &str, key: Key, deployment: Arc<Deployment>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != tag || known.1.len() >= KNOWN_MAX {
            *known = (tag.to_owned(), BTreeMap::new());
        }
        known.1.insert(key, deployment);
    }
}

/// Each deployment with what it did; one that cannot be found again is left out.
pub async fn judged(lines: &[DeploymentLine], asked: &Asked) -> Result<Vec<Arc<Deployment>>, Problem> {
    let tag = live::tag(asked).await;
    let mut all = Vec::new();
    for line in lines {
        let key = (line.colony_id.clone(), line.deployment_id.clone());
        if let Some(known) = asked.dashboard.judged.get(&tag, &key) {
            all.push(known);
            continue;
        }
        let id = format!("{}/{}", line.colony_id, line.deployment_id);
        let answer = asked.answer(Question::Deployment(DeploymentQuestion { id })).await;
        match answer {
            Ok(Answered::Deployment(deployment)) => {
                let deployment = Arc::from(deployment);
                asked.dashboard.judged.put(&tag, key, Arc::clone(&deployment));
                all.push(deployment);
            }
            Ok(_) | Err(AnswerError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}
