//! What the user wrote, read and checked. Nothing here makes code.

pub(crate) mod argument;
pub(crate) mod endpoint;
pub(crate) mod exception;
pub(crate) mod marks;
pub(crate) mod method;
pub(crate) mod options;
pub(crate) mod service;
pub(crate) mod version;

/// The errors of `results` together, so that one build names them all.
pub(crate) fn all<T>(results: impl IntoIterator<Item = syn::Result<T>>) -> syn::Result<Vec<T>> {
    let (mut values, mut errors) = (Vec::new(), None::<syn::Error>);
    for result in results {
        match (result, &mut errors) {
            (Ok(value), _) => values.push(value),
            (Err(error), Some(errors)) => errors.combine(error),
            (Err(error), None) => errors = Some(error),
        }
    }
    errors.map_or(Ok(values), Err)
}
