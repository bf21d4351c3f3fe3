//! Sides: which environments a page compares, those of its address or the usual ones.

use super::asked::Asked;
use super::frame::Pickers;
use super::series;
use crate::answers::compare::Comparison;
use maud::Markup;
use std::collections::BTreeSet;

/// Fields of the address for environments beside the first two, in the order of their charts.
const FURTHER: [&str; 4] = ["c", "d", "e", "f"];

/// What is compared.
pub struct Sides {
    /// The environment looked at.
    pub a: String,
    /// The one that it is compared with.
    pub b: String,
    /// Others on the same scale.
    pub further: Vec<String>,
    /// Whether the address names environments.
    pub is_named: bool,
    /// Names of the address that no environment has.
    pub unknown: Vec<String>,
    /// The application.
    pub application: Option<String>,
    /// The metric that is drawn.
    pub metric: Option<String>,
}

impl Sides {
    /// Those of the address; without any the usual two, and all others that have their application. `None` of fewer than two.
    pub fn of(asked: &Asked, environments: &[String]) -> Option<Sides> {
        let (usual_a, usual_b) = usual(asked, environments)?;
        let is_named = ["a", "b"].into_iter().chain(FURTHER).any(|name| asked.query.get(name).is_some());
        let a = asked.query.text("a").unwrap_or(usual_a);
        let b = asked.query.text("b").unwrap_or(usual_b);
        let application = asked.query.text("app").or_else(|| only_shared(asked, &a, &b));
        let has_it = |name: &&String| {
            application.as_ref().is_some_and(|application| applications_of(name, asked).contains(application))
        };
        let (further, unknown): (Vec<String>, Vec<String>) = if is_named {
            let named = FURTHER.into_iter().filter_map(|name| asked.query.text(name));
            named.partition(|name| environments.contains(name))
        } else {
            (environments.iter().filter(has_it).cloned().collect(), Vec::new())
        };
        let mut sides = Sides { a, b, further, is_named, unknown, application, metric: asked.query.text("metric") };
        sides.keep_once();
        Some(sides)
    }

    /// Takes the whole names of an answer: an address may have the begin of one.
    pub fn take_names(&mut self, comparison: &Comparison) {
        self.a.clone_from(&comparison.environment_a);
        self.b.clone_from(&comparison.environment_b);
        self.keep_once();
    }

    fn keep_once(&mut self) {
        let mut known = BTreeSet::from([self.a.clone(), self.b.clone()]);
        self.further.retain(|name| known.insert(name.clone()));
        self.further.truncate(FURTHER.len());
    }

    /// All of them, in the order of their charts.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        [&self.a, &self.b].into_iter().chain(&self.further).map(String::as_str)
    }

    /// The address of this page with the first environment compared with another one of them.
    pub fn against(&self, environment: &str, asked: &Asked) -> String {
        let others = self.all().skip(1).filter(|other| *other != environment);
        let query = asked.query.with("a", &self.a).with("b", environment);
        FURTHER.iter().zip(others).fold(query, |query, (name, other)| query.with(name, other)).address(&asked.path)
    }

    /// Pickers of all of them, and of one more as long as there is another.
    pub fn pickers(&self, asked: &Asked, environments: &[String]) -> Markup {
        let values = || environments.iter().map(|name| (name.clone(), name.clone())).collect::<Vec<_>>();
        let applications: Vec<_> = asked.fleet.applications().into_iter().map(|name| (name.clone(), name)).collect();
        let application = self.application.clone().unwrap_or_default();
        let mut pickers = Pickers::of(asked).choice(("a", "Environment"), None, &self.a, values()).choice(
            ("b", "compared with"),
            None,
            &self.b,
            values(),
        );
        let beside = environments.len().saturating_sub(2).min(self.further.len() + 1);
        for (place, name) in FURTHER.into_iter().enumerate().take(beside) {
            let chosen = self.further.get(place).map_or("", String::as_str);
            pickers = pickers.choice((name, "and"), Some("none"), chosen, values());
        }
        pickers.choice(("app", "Application"), None, &application, applications).range(series::USUAL).form()
    }
}

/// The last two environments that share an application, or the last two; none of fewer.
fn usual(asked: &Asked, environments: &[String]) -> Option<(String, String)> {
    let pairs = (1..environments.len()).rev().flat_map(|b| (0..b).rev().map(move |a| (a, b)));
    let mut pairs = pairs.map(|(a, b)| (environments[a].clone(), environments[b].clone()));
    let last = pairs.clone().next()?;
    Some(pairs.find(|(a, b)| only_shared(asked, a, b).is_some()).unwrap_or(last))
}

/// The first application that both environments have, where a choice is needed.
fn only_shared(asked: &Asked, a: &str, b: &str) -> Option<String> {
    applications_of(a, asked).intersection(&applications_of(b, asked)).next().map(|name| (*name).clone())
}

fn applications_of<'a>(environment: &str, asked: &'a Asked) -> BTreeSet<&'a String> {
    let colonies = asked.fleet.colonies.values().filter(|colony| colony.environment == environment);
    colonies.map(|colony| &colony.application_name).collect()
}
