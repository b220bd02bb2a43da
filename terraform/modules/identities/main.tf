locals {
  steps = ["split", "train", "collect"]

  # Compute emails here instead of reading them from the accounts, so that a plan shows the member of each grant.
  domain = "${var.gcp_project}.iam.gserviceaccount.com"

  accounts = merge(
    { "node" = "The nodes of the cluster.", "platform" = "The Argo server, which reads reports and logs." },
    merge([
      for name, project in var.projects : merge(
        { for step in local.steps : "${name}-${step}" => "The ${step} step of the project ${name}." },
        { for worker in ["worker"] : "${name}-${worker}" => "The Dataflow workers of the project ${name}." if project.dataflow },
      )
    ]...),
  )

  emails  = { for key, account in google_service_account.this : key => "${account.account_id}@${local.domain}" }
  members = { for key, email in local.emails : key => "serviceAccount:${email}" }
}

resource "google_service_account" "this" {
  for_each = local.accounts

  project      = var.gcp_project
  account_id   = "${var.name}-${each.key}"
  display_name = "Refeed: ${each.key}"
  description  = each.value
}

# Workload Identity: a pod acts as the account that its Kubernetes service account is bound to. There are no keys.
resource "google_service_account_iam_member" "pod" {
  for_each = merge(
    merge([
      for name, project in var.projects : {
        for step in local.steps : "${name}-${step}" => { account = "${name}-${step}", pod = "${project.namespace}/refeed-${step}" }
      }
    ]...),
    { for account in var.argo.service_accounts : "platform-${account}" => { account = "platform", pod = "${var.argo.namespace}/${account}" } },
  )

  service_account_id = "projects/${var.gcp_project}/serviceAccounts/${local.emails[each.value.account]}"
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.workload_pool}[${each.value.pod}]"
}
