output "node" {
  description = "The email of the node service account, for the cluster and node-pools modules."
  value       = local.emails["node"]
}

output "platform" {
  description = "The email of the account that Argo's service accounts are bound to, for their iam.gke.io/gcp-service-account annotation."
  value       = local.emails["platform"]
}

output "projects" {
  description = "The account emails by project: split, train and collect for the installation file's `identities`, and worker (null without Dataflow) for its `dataflow.service_account`."
  value = {
    for name, project in var.projects : name => merge(
      { for step in local.steps : step => local.emails["${name}-${step}"] },
      { worker = try(local.emails["${name}-worker"], null) },
    )
  }
}
