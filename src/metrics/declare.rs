//! What a declared metric turns into: a family in the registry and a handle to count with.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::{counter, gauge, histogram};
use prometheus_client::registry::{Metric, Registry, Unit};

use super::settings::MetricsSettings;

/// A number that only grows.
pub type Counter = counter::Counter;
/// A number that goes up and down.
pub type Gauge = gauge::Gauge;

/// Name and value of each label.
pub(super) type Label = (&'static str, Arc<str>);

/// A closed set of label values, known when the metric is declared.
pub trait LabelSet: Copy {
    /// How many members the set has.
    const COUNT: usize;

    /// The labels of every member, in the order of [`LabelSet::index`].
    fn all() -> Vec<Vec<(&'static str, Arc<str>)>>;

    /// The member's position, below [`LabelSet::COUNT`].
    fn index(self) -> usize;
}

/// Every combination of two sets.
impl<A: LabelSet, B: LabelSet> LabelSet for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn all() -> Vec<Vec<Label>> {
        let (first, second) = (A::all(), B::all());
        let with_second = |a: &Vec<Label>| {
            let a = a.clone();
            second.iter().map(move |b| [a.as_slice(), b].concat())
        };
        first.iter().flat_map(with_second).collect()
    }

    fn index(self) -> usize {
        self.0.index() * B::COUNT + self.1.index()
    }
}

/// One instrument for each member of a closed set, all of them exported from the start, so that
/// the first increase is seen as one.
#[derive(Clone)]
pub struct By<I, L> {
    instruments: Arc<[I]>,
    labels: PhantomData<fn(L)>,
}

/// One counter for each member of a closed set.
pub type CounterBy<L> = By<Counter, L>;
/// One gauge for each member of a closed set.
pub type GaugeBy<L> = By<Gauge, L>;

impl<I, L: LabelSet> By<I, L> {
    /// That of this member.
    pub fn with(&self, member: L) -> &I {
        &self.instruments[member.index()]
    }
}

impl<L: LabelSet> By<Counter, L> {
    /// All members' together.
    pub fn sum(&self) -> u64 {
        self.instruments.iter().map(Counter::get).sum()
    }

    /// What was counted of each member, by its label's value.
    pub fn each(&self) -> impl Iterator<Item = (Arc<str>, u64)> {
        let labels = L::all()
            .into_iter()
            .filter_map(|labels| labels.into_iter().next());
        let names = labels.map(|(_, name)| name);
        names.zip(self.instruments.iter().map(Counter::get))
    }
}

impl<I: fmt::Debug, L> fmt::Debug for By<I, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.instruments.iter()).finish()
    }
}

/// Durations in seconds, from 50 µs to 5 s.
#[derive(Clone, Debug)]
pub struct Histogram(histogram::Histogram);

impl Histogram {
    const UPPER_BOUNDS: [f64; 16] = [
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
        0.5, 1.0, 2.5, 5.0,
    ];

    /// Adds one duration. Takes a lock: for handles that one thread has to itself.
    pub fn observe(&self, duration: std::time::Duration) {
        self.0.observe(duration.as_secs_f64());
    }
}

#[derive(Clone, Debug)]
pub(super) struct Buckets;

impl MetricConstructor<histogram::Histogram> for Buckets {
    fn new_metric(&self) -> histogram::Histogram {
        histogram::Histogram::new(Histogram::UPPER_BOUNDS)
    }
}

/// Where metrics are declared: the registry, and under which names.
pub(super) struct Declared<'a> {
    pub(super) registry: &'a mut Registry,
    pub(super) settings: &'a MetricsSettings,
}

/// A kind of metric that can be declared.
pub(super) trait Instrument: Sized {
    type Family;
    fn register(declared: &mut Declared<'_>, name: &str, help: &str) -> Self::Family;
    fn resolve(family: &Self::Family, labels: &[Label]) -> Self;
    /// What was resolved with these labels is exported no longer.
    fn forget(family: &Self::Family, labels: &[Label]);
}

impl Instrument for Counter {
    type Family = Family<Vec<Label>, Counter>;

    fn register(declared: &mut Declared<'_>, name: &str, help: &str) -> Self::Family {
        let name = name
            .strip_suffix("_total")
            .expect("a counter is declared with a name that ends in _total");
        add(declared, name, help, Family::default())
    }

    fn resolve(family: &Self::Family, labels: &[Label]) -> Self {
        family.get_or_create_owned(&labels.to_vec())
    }
    fn forget(family: &Self::Family, labels: &[Label]) {
        family.remove(&labels.to_vec());
    }
}

impl Instrument for Gauge {
    type Family = Family<Vec<Label>, Gauge>;

    fn register(declared: &mut Declared<'_>, name: &str, help: &str) -> Self::Family {
        add(declared, name, help, Family::default())
    }

    fn resolve(family: &Self::Family, labels: &[Label]) -> Self {
        family.get_or_create_owned(&labels.to_vec())
    }
    fn forget(family: &Self::Family, labels: &[Label]) {
        family.remove(&labels.to_vec());
    }
}

impl Instrument for Histogram {
    type Family = Family<Vec<Label>, histogram::Histogram, Buckets>;

    fn register(declared: &mut Declared<'_>, name: &str, help: &str) -> Self::Family {
        add(declared, name, help, Family::new_with_constructor(Buckets))
    }

    fn resolve(family: &Self::Family, labels: &[Label]) -> Self {
        Self(family.get_or_create_owned(&labels.to_vec()))
    }
    fn forget(family: &Self::Family, labels: &[Label]) {
        family.remove(&labels.to_vec());
    }
}

impl<I: Instrument, L: LabelSet> Instrument for By<I, L> {
    type Family = I::Family;

    fn register(declared: &mut Declared<'_>, name: &str, help: &str) -> Self::Family {
        I::register(declared, name, help)
    }

    fn resolve(family: &Self::Family, labels: &[Label]) -> Self {
        let member = |own: Vec<Label>| I::resolve(family, &[labels, &own].concat());
        Self {
            instruments: L::all().into_iter().map(member).collect(),
            labels: PhantomData,
        }
    }

    fn forget(family: &Self::Family, labels: &[Label]) {
        for own in L::all() {
            I::forget(family, &[labels, &own].concat());
        }
    }
}

/// Registers under a name whose last part, where it is a unit, is declared as the unit.
fn add<F: Metric + Clone>(declared: &mut Declared<'_>, name: &str, help: &str, family: F) -> F {
    let Declared { registry, settings } = declared;
    let name = settings.exported(name);
    let help = settings.exported(help.trim().trim_end_matches('.'));
    let units = [("_bytes", Unit::Bytes), ("_seconds", Unit::Seconds)];
    let with_unit = units
        .into_iter()
        .find_map(|(suffix, unit)| Some((name.strip_suffix(suffix)?, unit)));
    match with_unit {
        Some((name, unit)) => registry.register_with_unit(name, help, unit, family.clone()),
        None => registry.register(name, help, family.clone()),
    }
    family
}

/// Declares metrics that share their labels: a struct of handles, and the `Families` that hand
/// them out. A field's documentation is its help text.
macro_rules! metrics {
    (
        $(#[$meta:meta])*
        pub struct $handles:ident {
            $( $(#[doc = $help:literal])+ $field:ident: $kind:ty = $name:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $handles {
            $( $(#[doc = $help])+ pub $field: $kind, )*
        }

        #[derive(Debug)]
        pub(super) struct Families {
            $( $field: <$kind as $crate::metrics::declare::Instrument>::Family, )*
        }

        impl Families {
            pub(super) fn register(declared: &mut $crate::metrics::declare::Declared<'_>) -> Self {
                use $crate::metrics::declare::Instrument;
                Self { $( $field: <$kind>::register(declared, $name, concat!($($help),+)), )* }
            }

            pub(super) fn resolve(&self, labels: &[$crate::metrics::declare::Label]) -> $handles {
                use $crate::metrics::declare::Instrument;
                $handles { $( $field: <$kind>::resolve(&self.$field, labels), )* }
            }

            #[allow(dead_code, reason = "most of what is labelled is there as long as the process")]
            pub(super) fn forget(&self, labels: &[$crate::metrics::declare::Label]) {
                use $crate::metrics::declare::Instrument;
                $( <$kind>::forget(&self.$field, labels); )*
            }
        }
    };
}

/// Declares a closed set of values of one label.
macro_rules! label {
    (
        $(#[$meta:meta])*
        pub enum $set:ident = $label:literal {
            $( $(#[$about:meta])* $member:ident = $value:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $set { $( $(#[$about])* $member, )* }

        impl $crate::metrics::declare::LabelSet for $set {
            const COUNT: usize = [$( $value ),*].len();

            fn all() -> Vec<Vec<$crate::metrics::declare::Label>> {
                [$( $value ),*].map(|value| vec![($label, value.into())]).into()
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

pub(super) use {label, metrics};
