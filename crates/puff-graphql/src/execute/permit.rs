//! What may be shown: permissions are asked for once a layer, before anything of it is.
//!
//! They are asked from outside to inside, and what is refused is not asked about any further: the types of the
//! layer's objects if several are possible, its fields, and the types of objects that its fields have alone.

use super::Execution;
use super::bound::{Objects, Positions};
use super::reach::{Owners, Scope};
use super::solve::parents;
use crate::backend::Backend;
use crate::error::FieldError;
use crate::permission::{PermissionCall, PermissionId, Permit};
use crate::plan::ObjectPlan;
use crate::value::Arguments;

/// What the permissions of one layer have come to.
pub(crate) struct Permits {
    /// As [`ObjectPlan::permissions`].
    fields: Vec<Answer>,
    /// As [`ObjectPlan::types`]: why objects of that type are not shown. Empty unless the type is abstract.
    types: Vec<Option<FieldError>>,
    /// As [`ObjectPlan::children`]: why the objects in it are not shown.
    children: Vec<Option<FieldError>>,
}

enum Answer {
    Granted,
    Refused(FieldError),
    Each {
        positions: Positions,
        errors: Vec<Option<FieldError>>,
    },
}

impl Permits {
    /// Nothing has been asked, so nothing is granted.
    fn new(plan: &ObjectPlan) -> Self {
        let unasked = || Answer::Refused(unanswered());
        Self {
            fields: plan.permissions.iter().map(|_| unasked()).collect(),
            types: Vec::new(),
            children: vec![None; plan.children.len()],
        }
    }

    /// Why a field of an object is not shown.
    pub(crate) fn field(&self, permission: usize, index: usize) -> Option<&FieldError> {
        match self.fields.get(permission)? {
            Answer::Granted => None,
            Answer::Refused(error) => Some(error),
            Answer::Each { positions, errors } => errors.get(positions.get(index))?.as_ref(),
        }
    }

    /// Whether a field is shown of no object.
    pub(crate) fn is_refused(&self, permission: usize) -> bool {
        matches!(self.fields.get(permission), Some(Answer::Refused(_)))
    }

    /// Why objects of one of several types are not shown.
    pub(crate) fn kind(&self, kind: usize) -> Option<&FieldError> {
        self.types.get(kind)?.as_ref()
    }

    /// Why the objects of a child are not shown.
    pub(crate) fn child(&self, number: usize) -> Option<&FieldError> {
        self.children.get(number)?.as_ref()
    }

    fn first(&self) -> Option<&FieldError> {
        let of_field = |answer| match answer {
            &Answer::Granted => None,
            Answer::Refused(error) => Some(error),
            Answer::Each { errors, .. } => errors.iter().flatten().next(),
        };
        let objects = self.types.iter().chain(&self.children).flatten();
        objects.chain(self.fields.iter().filter_map(of_field)).next()
    }
}

/// The error of what nobody has granted.
fn unanswered() -> FieldError {
    FieldError::new("FORBIDDEN", "nobody has said that this may be shown")
}

fn misfit(answers: usize, parents: usize) -> FieldError {
    let message = format!("a permission has {answers} answers for {parents} parents");
    FieldError::new("BAD_RESULT", message)
}

impl<B: Backend> Execution<'_, B> {
    /// Asks for all that a layer needs.
    pub(crate) async fn permits(&self, scope: &Scope<'_, B>) -> Permits {
        let plan = scope.plan;
        let mut permits = Permits::new(plan);
        if plan.is_abstract && plan.type_permissions.iter().any(Option::is_some) {
            let live = scope.live_types();
            let asked = plan.type_permissions.iter().zip(live).enumerate();
            let asked = asked.filter_map(|(kind, (id, is_live))| id.filter(|_| is_live).map(|id| (kind, id)));
            permits.types = vec![None; plan.types.len()];
            for (kind, refusal) in self.permit_objects(asked.collect()).await {
                permits.types[kind] = refusal;
            }
        }
        self.permit_fields(scope, &mut permits).await;
        let mut asked = Vec::new();
        for (number, child) in plan.children.iter().enumerate() {
            let Some(object) = child.output.object() else {
                continue;
            };
            if let Some(id) = object.permission_before() {
                let scope = Scope {
                    permits: Some(&permits),
                    ..*scope
                };
                let owners = Owners::new(&scope, &child.users, object.views, |condition| {
                    self.holds(condition)
                });
                if owners.indexes.len() > 0 {
                    asked.push((number, id));
                }
            }
        }
        for (number, refusal) in self.permit_objects(asked).await {
            permits.children[number] = refusal;
        }
        // A root has done nothing yet that an error could undo.
        if !matches!(scope.source, Objects::Root)
            && let Some(error) = permits.first()
        {
            self.failed.lock().get_or_insert_with(|| error.clone());
        }
        permits
    }

    async fn permit_fields(&self, scope: &Scope<'_, B>, permits: &mut Permits) {
        let (mut asked, mut calls) = (Vec::new(), Vec::new());
        for (number, permission) in scope.plan.permissions.iter().enumerate() {
            let seen = Scope {
                permits: Some(&*permits),
                ..*scope
            };
            let owners = Owners::new(&seen, &permission.users, 1, |condition| self.holds(condition)).indexes;
            if owners.len() == 0 {
                continue;
            }
            match permission.arguments.evaluate(&self.variables) {
                Err(error) => permits.fields[number] = Answer::Refused(error),
                Ok(arguments) => {
                    calls.push(PermissionCall {
                        id: permission.id,
                        arguments,
                        parents: parents(scope.plan, scope.source, &owners),
                    });
                    asked.push((number, owners));
                }
            }
        }
        let answers = self.permit(calls).await;
        for ((number, owners), permit) in asked.into_iter().zip(answers) {
            permits.fields[number] = match permit {
                Permit::Granted => Answer::Granted,
                Permit::Refused(error) => Answer::Refused(error),
                Permit::Each(errors) if errors.len() != owners.len() => {
                    Answer::Refused(misfit(errors.len(), owners.len()))
                }
                Permit::Each(errors) => Answer::Each {
                    positions: Positions::new(&owners, scope.source.len()),
                    errors,
                },
            };
        }
    }

    /// Asks about objects, once for each permission; the numbers are given back with what was refused.
    async fn permit_objects(
        &self,
        asked: Vec<(usize, PermissionId)>,
    ) -> impl Iterator<Item = (usize, Option<FieldError>)> {
        let mut ids: Vec<PermissionId> = Vec::new();
        for (_, id) in &asked {
            if !ids.contains(id) {
                ids.push(*id);
            }
        }
        let call = |id: &PermissionId| PermissionCall {
            id: *id,
            arguments: Arguments::default(),
            parents: None,
        };
        let answers = self.permit(ids.iter().map(call).collect()).await;
        let refusal = move |id: PermissionId| {
            let place = ids.iter().position(|known| *known == id)?;
            match answers.get(place)? {
                Permit::Granted => None,
                Permit::Refused(error) => Some(error.clone()),
                Permit::Each(errors) => Some(misfit(errors.len(), 1)),
            }
        };
        asked.into_iter().map(move |(number, id)| (number, refusal(id)))
    }

    /// As many answers as there are calls.
    async fn permit(&self, calls: Vec<PermissionCall<B>>) -> Vec<Permit> {
        if calls.is_empty() {
            return Vec::new();
        }
        let count = calls.len();
        let mut answers = self.backend.permit(&self.context, calls).await;
        answers.resize_with(count, || Permit::Refused(unanswered()));
        answers
    }
}
