output "node" {
  description = "E-mail of the account that nodes run as, for cluster and node-pools."
  value       = local.emails["node"]
}

output "platform" {
  description = "E-mail of the account that Argo's service accounts are bound to, for their annotation iam.gke.io/gcp-service-account."
  value       = local.emails["platform"]
}

output "projects" {
  description = "E-mails by project: split, train and collect, for the installation file's `identities`, and worker (null without Dataflow), for its `dataflow.service_account`."
  value = {
    for name, project in var.projects : name => merge(
      { for step in local.steps : step => local.emails["${name}-${step}"] },
      { worker = try(local.emails["${name}-worker"], null) },
    )
  }
}
