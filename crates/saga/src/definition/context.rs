//! What a saga has at a place of its definition, as a type: so that a step whose input nobody made does not compile.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, Result};

/// A saga that has nothing yet.
#[derive(Debug)]
pub struct Nil;

/// What a saga has: `Head`, made last, and what was made before.
#[derive(Debug)]
pub struct Cons<Head, Tail>(PhantomData<(Head, Tail)>);

/// The thing made last.
#[derive(Debug)]
pub struct Here;

/// One of the things made before.
#[derive(Debug)]
pub struct There<Place>(PhantomData<Place>);

/// `Self` has a `T`.
#[diagnostic::on_unimplemented(
    message = "nothing before this step makes a `{T}`",
    label = "needs a `{T}`",
    note = "a step's input is made of the saga's key, the answers waited for and the outputs of the steps before it"
)]
pub trait Has<T, Place> {
    /// How many things were made after it.
    const DEPTH: usize;
}

impl<T, Tail> Has<T, Here> for Cons<T, Tail> {
    const DEPTH: usize = 0;
}

impl<T, Head, Tail: Has<T, Place>, Place> Has<T, There<Place>> for Cons<Head, Tail> {
    const DEPTH: usize = Tail::DEPTH + 1;
}

/// A tuple that a step can have as its input.
pub trait Inputs: Sized + Send + 'static {
    /// Reads it from the JSON of its parts, in order.
    #[doc(hidden)]
    fn read(parts: &mut dyn Iterator<Item = Option<&[u8]>>) -> Result<Self>;
}

/// A tuple that the context `Ctx` has all parts of.
pub trait Gather<Ctx, Places>: Inputs {
    /// How deep each part lies in the context.
    #[doc(hidden)]
    fn depths() -> Vec<usize>;
}

fn part<T: DeserializeOwned>(parts: &mut dyn Iterator<Item = Option<&[u8]>>) -> Result<T> {
    let json = parts.next().flatten().ok_or_else(|| {
        Error::new(ErrorKind::Protocol, "a saga does not have what its step needs: it was passed over")
    })?;
    serde_json::from_slice(json).map_err(|_| {
        let wanted = std::any::type_name::<T>();
        Error::new(ErrorKind::Protocol, format!("what a saga recorded cannot be read as {wanted}"))
    })
}

macro_rules! tuples {
    ($(($($part:ident $place:ident),*))+) => {$(
        impl<$($part: DeserializeOwned + Send + 'static,)*> Inputs for ($($part,)*) {
            fn read(parts: &mut dyn Iterator<Item = Option<&[u8]>>) -> Result<Self> {
                let _ = &parts;
                Ok(($(part::<$part>(parts)?,)*))
            }
        }

        impl<Ctx, $($part, $place,)*> Gather<Ctx, ($($place,)*)> for ($($part,)*)
        where
            Self: Inputs,
            $(Ctx: Has<$part, $place>,)*
        {
            fn depths() -> Vec<usize> {
                vec![$(<Ctx as Has<$part, $place>>::DEPTH,)*]
            }
        }
    )+};
}

tuples! {
    ()
    (A PA)
    (A PA, B PB)
    (A PA, B PB, C PC)
    (A PA, B PB, C PC, D PD)
    (A PA, B PB, C PC, D PD, E PE)
    (A PA, B PB, C PC, D PD, E PE, F PF)
    (A PA, B PB, C PC, D PD, E PE, F PF, G PG)
    (A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH)
}
