//! The frame of each page: head, navigation, what the fleet is complete to, and the pickers.

use super::asked::{Asked, RANGES};
use super::shown;
use crate::answers::completeness::{ColonyCompleteness, Completeness};
use crate::printable::printable;
use maud::{DOCTYPE, Markup, html};
use model::time::TimeMs;
use std::collections::BTreeSet;

/// Pages of the navigation.
const PAGES: [(&str, &str); 7] = [
    ("/", "Overview"),
    ("/patterns", "Patterns"),
    ("/timeline", "Timeline"),
    ("/compare", "Compare"),
    ("/services", "Services"),
    ("/analyses", "Analyses"),
    ("/health", "Reef"),
];
/// Fields that no picker chooses and that narrow what is shown: a removable sign for each.
const NARROWING: [(&str, &str); 4] =
    [("colony", "colony"), ("service", "service"), ("metric", "metric"), ("type", "type of event")];
/// Colonies that the header names; the others are one click away.
const COLONIES_MAX: usize = 12;

/// What a page shows within its frame.
pub struct Page {
    /// Its title.
    pub title: String,
    /// Which page of the navigation it belongs to.
    pub under: &'static str,
    /// Its pickers.
    pub pickers: Markup,
    /// Its content.
    pub main: Markup,
    /// The script of its charts, if it has any.
    pub script: Option<&'static str>,
}

/// The whole document.
pub fn document(page: Page, asked: &Asked, tag: &str) -> Markup {
    let reef = &asked.scope().reef_id;
    let completeness = Completeness::of(&asked.fleet, |_, _| true);
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&page.title, page.script))
            body data-tag=(tag) {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    div.bar {
                        a.brand href=(asked.link("/")) { img src="/assets/icon.svg" alt="" width="20" height="20"; "coral" }
                        nav aria-label="Pages" {
                            @for (path, title) in PAGES {
                                a href=(asked.link(path)) aria-current=[(path == page.under).then_some("page")] { (title) }
                            }
                        }
                        span.reef title=(printable(reef)) { (shown::name(reef)) }
                    }
                    div.known #known { (known(&completeness)) }
                }
                div #lost role="alert" hidden {}
                main #main tabindex="-1" {
                    div.title { h1 { (page.title) } (page.pickers) }
                    (page.main)
                }
                footer {
                    p #live { "All times are UTC." }
                    (account(asked))
                }
            }
        }
    }
}

fn account(asked: &Asked) -> Markup {
    html! {
        @if asked.dashboard.login.is_needed {
            form method="post" action="/logout" { button type="submit" { "Log out" } }
        }
    }
}

/// The head of a document.
pub fn head(title: &str, script: Option<&str>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · coral" }
            link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
            link rel="stylesheet" href="/assets/style.css";
            @if script.is_some() { link rel="stylesheet" href="/assets/uPlot.css"; }
            script type="module" src="/assets/live.js" {}
            @if let Some(script) = script { script type="module" src={ "/assets/" (script) } {} }
        }
    }
}

/// Up to when each colony is known. One that is not current is grey, with its age.
fn known(completeness: &Completeness) -> Markup {
    let newest = completeness.colonies.iter().filter_map(complete_to).max();
    let chip = |colony: &ColonyCompleteness| {
        let behind = newest.zip(complete_to(colony)).map(|(newest, known)| newest - known);
        html! {
            li class=[(colony.state != "current").then_some("behind")] title=(printable(&colony.reason)) {
                span.colony { (shown::name(&colony.colony_id)) } " "
                @if colony.state != "current" { (shown::state(colony.state)) " " }
                @match (&colony.complete_to, behind) {
                    (Some(to), Some(behind)) if colony.state != "current" => {
                        time datetime=(to) title=(to) { (shown::span(behind)) " behind" }
                    }
                    (Some(to), _) => (shown::time(to)),
                    (None, _) => "nothing received",
                }
            }
        }
    };
    let (first, more) = completeness.colonies.split_at(completeness.colonies.len().min(COLONIES_MAX));
    html! {
        span.label { "Complete to" }
        @if completeness.colonies.is_empty() {
            span { "no colony is known yet; add one: " code { "coral reef add-colony COLONY-ID" } }
        }
        ul { @for colony in first { (chip(colony)) } }
        @if !more.is_empty() {
            details id="more-colonies" { summary { "more colonies" } ul { @for colony in more { (chip(colony)) } } }
        }
    }
}

/// Up to when a colony is known.
pub fn complete_to(colony: &ColonyCompleteness) -> Option<TimeMs> {
    colony.complete_to.as_deref().and_then(TimeMs::parse_rfc3339)
}

/// A form of pickers. Its button sends it; the script also does, after a choice by pointer.
pub struct Pickers<'a> {
    asked: &'a Asked,
    fields: Vec<Markup>,
    names: BTreeSet<&'static str>,
}

impl<'a> Pickers<'a> {
    /// Without any.
    pub fn of(asked: &'a Asked) -> Pickers<'a> {
        Pickers { asked, fields: Vec::new(), names: BTreeSet::new() }
    }

    /// One of these values; the first is taken for no choice if `any` names what that means.
    pub fn choice(
        mut self,
        (name, label): (&'static str, &str),
        any: Option<&str>,
        chosen: &str,
        values: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        self.names.insert(name);
        self.fields.push(html! {
            label { span { (label) }
                select name=(name) {
                    @if let Some(any) = any { option value="" { (any) } }
                    @for (value, shown) in values {
                        option value=(value) selected[value == chosen] { (printable(&shown)) }
                    }
                }
            }
        });
        self
    }

    /// A range of time, `usual` without a choice. Exact times of the address are shown in its place and can be removed.
    pub fn range(mut self, usual: &str) -> Self {
        if let Some((from, to)) = self.asked.exact() {
            let remove = self.asked.here_without(&["from", "to"]);
            let times = html! {
                @if let Some(from) = from { "from " (shown::time(&from)) }
                @if let Some(to) = to { " to " (shown::time(&to)) }
            };
            self.fields.push(chip(&times, "Remove the exact times", &remove));
            return self;
        }
        let chosen = self.asked.range_name(usual);
        let values = RANGES.iter().map(|(name, _, words)| ((*name).to_owned(), (*words).to_owned()));
        self.choice(("range", "Range"), None, &chosen, values)
    }

    /// An environment, or all.
    pub fn environment(self) -> Self {
        let known = self.asked.fleet.environments();
        let chosen = self.asked.query.text("env").unwrap_or_default();
        let values: Vec<_> = known.into_iter().map(|name| (name.clone(), name)).collect();
        self.choice(("env", "Environment"), Some("all"), &chosen, values)
    }

    /// An application, or all.
    pub fn application(self) -> Self {
        let known = self.asked.fleet.applications();
        let chosen = self.asked.query.text("app").unwrap_or_default();
        let values: Vec<_> =
            known.into_iter().filter(|name| !name.is_empty()).map(|name| (name.clone(), name)).collect();
        self.choice(("app", "Application"), Some("all"), &chosen, values)
    }

    /// The form; fields of the address that no picker shows go along.
    pub fn form(self) -> Markup {
        let kept = self.asked.query.fields().filter(|(name, _)| !self.names.contains(name) && *name != "cursor");
        let narrowing = NARROWING.iter().filter(|(name, _)| !self.names.contains(name));
        let narrowing = narrowing.filter_map(|(name, label)| Some((*name, *label, self.asked.query.get(name)?)));
        html! {
            form.pickers method="get" action=(self.asked.path) {
                @for (name, label, value) in narrowing {
                    (chip(&html! { (label) " " (shown::name(value)) }, &format!("Remove the {label}"), &self.asked.here_without(&[name])))
                }
                @for (name, value) in kept { input type="hidden" name=(name) value=(value); }
                @for field in &self.fields { (field) }
                button type="submit" { "Show" }
            }
        }
    }
}

/// A choice that no picker shows, with a link that removes it.
fn chip(what: &Markup, remove: &str, to: &str) -> Markup {
    html! { span.chip { (what) " " a href=(to) aria-label=(remove) title=(remove) { "×" } } }
}
