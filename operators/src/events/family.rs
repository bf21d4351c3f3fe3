//! The family of tests at one start of observation: which observed types make pairs, how many, and their weights, without
//! a comparison of texts for each pair.

use crate::calls::{Partners, are_linked};
use crate::events::ebh::{WEIGHT_APPLICATION, WEIGHT_CALL, WEIGHT_OTHER, WEIGHT_SERVICE};
use crate::events::levels::is_general;
use crate::events::types::Observed;
use crate::shard::Shard;
use std::collections::BTreeMap;

/// What the pairs of a type depend on. Names are numbers that mean nothing outside of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    colony: usize,
    /// None for an application without a name.
    application: Option<usize>,
    service: usize,
    begins_here: bool,
}

/// The observed types of a pass.
pub struct Family<'a> {
    observed: &'a [Observed<'a>],
    /// By position in `observed`.
    places: Vec<Place>,
    /// By number of a service: its name, unless it gives a pair no weight.
    weighs: Vec<bool>,
}

/// Types of one place that are ends of pairs.
struct Class<'a> {
    place: Place,
    service_id: &'a str,
    partners: Option<&'a Partners>,
    /// As targets, and as sources of the shard.
    targets: u64,
    sources: u64,
}

/// Numbers of targets: of all, and of those observed from the start of this pass.
type Counts = [u64; 2];

impl<'a> Family<'a> {
    /// Of the observed types.
    pub fn new(observed: &'a [Observed<'a>]) -> Family<'a> {
        let colonies = numbers(observed.iter().map(|one| &*one.key.colony_id));
        let applications = numbers(observed.iter().map(|one| one.application_name()));
        let services = numbers(observed.iter().map(|one| &*one.key.service_id));
        let place = |one: &Observed| Place {
            colony: number(&colonies, &one.key.colony_id),
            application: Some(one.application_name())
                .filter(|name| !name.is_empty())
                .map(|name| number(&applications, name)),
            service: number(&services, &one.key.service_id),
            begins_here: one.begins_here,
        };
        let places = observed.iter().map(place).collect();
        let mut weighs = vec![false; services.len()];
        for one in observed.iter().filter(|one| !one.key.service_id.is_empty() && !is_general(one.key)) {
            weighs[number(&services, &one.key.service_id)] = true;
        }
        Family { observed, places, weighs }
    }

    /// Whether two types, by position, make a pair that is between two colonies and observed from the start of this pass.
    pub fn makes_pair_here(&self, source: usize, target: usize) -> bool {
        let (source, target) = (self.places[source], self.places[target]);
        source.colony != target.colony && (source.begins_here || target.begins_here)
    }

    /// Prior weight of the pair of two types, by position.
    pub fn weight(&self, source: usize, target: usize) -> u32 {
        let [one, other] = [source, target].map(|at| (&*self.observed[at].key.service_id, self.observed[at].partners));
        self.weigh((self.places[source], one), (self.places[target], other))
    }

    fn weigh(
        &self,
        (source, of_source): (Place, (&str, Option<&Partners>)),
        (target, of_target): (Place, (&str, Option<&Partners>)),
    ) -> u32 {
        if source.application.is_some() && source.application == target.application {
            WEIGHT_APPLICATION
        } else if (of_source.1.is_some() || of_target.1.is_some()) && are_linked(of_source, of_target) {
            WEIGHT_CALL
        } else if source.service == target.service && self.weighs[source.service] {
            WEIGHT_SERVICE
        } else {
            WEIGHT_OTHER
        }
    }

    /// Number and sum of weights of the eligible ordered pairs of different colonies that are observed from the start of
    /// this pass and whose source belongs to the shard.
    pub fn eligible_pairs(&self, shard: Shard) -> (u64, u64) {
        let mut classes: BTreeMap<Place, Class> = BTreeMap::new();
        for (one, place) in self.observed.iter().zip(&self.places).filter(|(one, _)| one.is_eligible()) {
            let class = classes.entry(*place).or_insert_with(|| Class {
                place: *place,
                service_id: &one.key.service_id,
                partners: one.partners,
                targets: 0,
                sources: 0,
            });
            class.targets += 1;
            class.sources += u64::from(one.belongs_to(shard));
        }
        let classes: Vec<Class> = classes.into_values().collect();
        let index = Index::of(&classes, self.weighs.len());
        let (mut pairs, mut weights) = (0, 0);
        for source in classes.iter().filter(|class| class.sources > 0) {
            let (of_source, weight) = self.pairs_of(source, &index);
            pairs += source.sources * of_source;
            weights += source.sources * weight;
        }
        (pairs, weights)
    }

    /// Number and sum of weights of the pairs of one source of a class.
    fn pairs_of(&self, source: &Class, index: &Index) -> (u64, u64) {
        let own = source.place;
        let which = usize::from(!own.begins_here);
        let counts = |target: &Class| {
            let is_pair = target.place.colony != own.colony && (own.begins_here || target.place.begins_here);
            if is_pair { target.targets } else { 0 }
        };
        let of_colony = index.by_colony.get(&own.colony).map_or(&[][..], Vec::as_slice);
        let of_application = own.application.and_then(|name| index.by_application.get(&name));
        let of_application = of_application.map_or(&[][..], Vec::as_slice);
        let here = |is_meant: &dyn Fn(&&&Class) -> bool| -> u64 {
            let counted = |class: &&Class| own.begins_here || class.place.begins_here;
            of_colony.iter().filter(is_meant).filter(|class| counted(class)).map(|class| class.targets).sum()
        };
        let pairs = index.all[which] - here(&|_| true);
        let same_application: u64 = of_application.iter().map(|class| counts(class)).sum();
        let mut weights = u64::from(WEIGHT_OTHER) * (pairs - same_application);
        weights += u64::from(WEIGHT_APPLICATION) * same_application;
        if self.weighs[own.service] {
            let same = |class: &&&Class| class.place.service == own.service;
            let same_service = index.by_service[own.service][which] - here(&same);
            let of_both: u64 = of_application.iter().filter(same).map(|class| counts(class)).sum();
            weights += u64::from(WEIGHT_SERVICE - WEIGHT_OTHER) * (same_service - of_both);
        }
        for target in index.linked_with(source) {
            let weight = self.weigh((own, (source.service_id, None)), (target.place, (target.service_id, None)));
            if weight != WEIGHT_APPLICATION {
                weights += u64::from(WEIGHT_CALL - weight) * counts(target);
            }
        }
        (pairs, weights)
    }
}

/// Classes by what they have in common.
struct Index<'a> {
    all: Counts,
    by_service: Vec<Counts>,
    by_colony: BTreeMap<usize, Vec<&'a Class<'a>>>,
    by_application: BTreeMap<usize, Vec<&'a Class<'a>>>,
    by_name: BTreeMap<&'a str, Vec<&'a Class<'a>>>,
    by_partner: BTreeMap<&'a str, Vec<&'a Class<'a>>>,
}

impl<'a> Index<'a> {
    fn of(classes: &'a [Class<'a>], services: usize) -> Index<'a> {
        let mut index = Index {
            all: [0; 2],
            by_service: vec![[0; 2]; services],
            by_colony: BTreeMap::new(),
            by_application: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_partner: BTreeMap::new(),
        };
        let has_calls = classes.iter().any(|class| class.partners.is_some());
        for class in classes {
            for (place, targets) in
                [class.targets, class.targets * u64::from(class.place.begins_here)].into_iter().enumerate()
            {
                index.all[place] += targets;
                index.by_service[class.place.service][place] += targets;
            }
            index.by_colony.entry(class.place.colony).or_default().push(class);
            if let Some(application) = class.place.application {
                index.by_application.entry(application).or_default().push(class);
            }
            if has_calls {
                index.by_name.entry(class.service_id).or_default().push(class);
            }
            for partner in class.partners.into_iter().flatten() {
                index.by_partner.entry(partner).or_default().push(class);
            }
        }
        index
    }

    /// Each class once whose service a call links with that of this one.
    fn linked_with(&self, source: &Class) -> Vec<&'a Class<'a>> {
        let named = source.partners.into_iter().flatten().filter_map(|partner| self.by_name.get(&**partner));
        let mut linked: Vec<&Class> = named.chain(self.by_partner.get(source.service_id)).flatten().copied().collect();
        linked.sort_unstable_by_key(|class| class.place);
        linked.dedup_by_key(|class| class.place);
        linked
    }
}

/// Names, rising.
fn numbers<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn number(names: &[&str], name: &str) -> usize {
    names.partition_point(|known| *known < name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{Call, Calls};
    use crate::events::Onset;
    use crate::events::levels::weight;
    use crate::events::span::Span;
    use crate::events::types::TypeOnsets;
    use model::event::EventTypeKey;
    use model::time::{DAY_MS, TimeMs};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pairs_and_weights_are_those_of_each_pair_by_itself(
            types in prop::collection::btree_map((0..4usize, 0..5usize, 0..3usize), (0..3usize, 2..5i64), 0..25),
            begins in prop::array::uniform4(any::<bool>()),
            linked in prop::collection::vec((0..4usize, 0..5usize, 0..5usize), 0..5),
            index in 0..2usize,
        ) {
            let services = ["web", "cart", "", "*", "pay"];
            let mut calls = Calls::default();
            calls.apply(linked.into_iter().map(|(colony, from, to)| {
                let [from_service, to_service] = [from, to].map(|place| services[place].to_owned());
                (Call { colony_id: format!("c{colony}"), from_service, to_service, seen_at: TimeMs(0) }, 1)
            }));
            calls.count_since(TimeMs(0));
            let onsets: Vec<(usize, EventTypeKey, TypeOnsets)> = types
                .into_iter()
                .map(|((colony, service, kind), (application, count))| {
                    let key = EventTypeKey {
                        colony_id: format!("c{colony}"),
                        service_id: services[service].to_owned(),
                        event_type: format!("t{kind}"),
                    };
                    let mut onsets = TypeOnsets::default();
                    for at in 0..count {
                        let application_name = ["", "shop", "bank"][application].to_owned();
                        let (event_id, environment) = (String::new(), String::new());
                        onsets.change(Onset { key: key.clone(), at: TimeMs(at), event_id, application_name, environment }, 1);
                    }
                    onsets.settle();
                    (colony, key, onsets)
                })
                .collect();
            let span = Span { origin: TimeMs(0), instant: TimeMs(DAY_MS) };
            let observed: Vec<Observed> = onsets
                .iter()
                .map(|(colony, key, onsets)| {
                    let mut one = Observed::new(key, onsets, span, begins[*colony]);
                    one.partners = calls.partners(&key.colony_id, &key.service_id);
                    one
                })
                .collect();
            let family = Family::new(&observed);
            let shard = Shard { index, peers: 2 };
            let (mut pairs, mut weights) = (0, 0);
            for (place, source) in observed.iter().enumerate() {
                for (other, target) in observed.iter().enumerate() {
                    let is_pair = source.key.colony_id != target.key.colony_id && (source.begins_here || target.begins_here);
                    prop_assert_eq!(family.makes_pair_here(place, other), is_pair);
                    let ends = [source, target].map(|one| (&*one.key.service_id, one.partners));
                    let names = [source, target].map(|one| (one.application_name(), &*one.key.service_id));
                    let expected = weight(names[0], names[1], are_linked(ends[0], ends[1]));
                    prop_assert_eq!(family.weight(place, other), expected);
                    if is_pair && source.is_eligible() && target.is_eligible() && source.belongs_to(shard) {
                        pairs += 1;
                        weights += u64::from(expected);
                    }
                }
            }
            prop_assert_eq!(family.eligible_pairs(shard), (pairs, weights));
        }
    }
}
