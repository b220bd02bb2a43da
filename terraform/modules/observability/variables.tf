variable "gcp_project" {
  type        = string
  description = "The ID of the Google Cloud project to monitor. Use the same project in every module."
  nullable    = false
}

variable "cluster" {
  type        = string
  description = "The name of the cluster: `name` of the cluster module."
  nullable    = false
}

variable "namespaces" {
  type        = map(string)
  description = "The namespaces by Refeed project. Logs of other namespaces do not trigger alerts."
  nullable    = false

  validation {
    condition     = length(var.namespaces) > 0
    error_message = "namespaces must contain at least one namespace: without a project, there is nothing to monitor."
  }
}

variable "argo_namespace" {
  type        = string
  description = "The namespace of Argo's controller, which an alert monitors. Use the same value as `argo.namespace` of the identities module."
  default     = "argo"
  nullable    = false
}

variable "emails" {
  type        = set(string)
  description = "The email addresses of the platform engineers, who receive the alerts and budget notifications. Analysts are notified through the installation's webhook."
  nullable    = false

  validation {
    condition     = length(var.emails) > 0 && alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+[.][a-z]+$", email))])
    error_message = "emails must contain at least one email address: without one, nobody receives the alerts."
  }
}

variable "silent_minutes" {
  type        = number
  description = "The number of minutes without data from Argo's controller after which the alert fires. An upgrade of its node takes about five minutes."
  default     = 20
  nullable    = false

  validation {
    condition     = var.silent_minutes >= 5 && var.silent_minutes <= 1410
    error_message = "silent_minutes must be from 5 to 1410 (23.5 hours), the maximum of Cloud Monitoring."
  }
}

variable "budget" {
  type = object({
    billing_account = string
    project_number  = string
    amount          = number
    currency        = optional(string)
  })
  description = <<-EOT
    The monthly budget of the Google Cloud project; null for none. It sends notifications and does not cap costs.
    - `billing_account`: the ID of the billing account, such as 012345-6789AB-CDEF01. The user that runs `terraform apply`
      needs roles/billing.costsManager on it.
    - `project_number`: the project number, which `gcloud projects describe PROJECT --format='value(projectNumber)'`
      prints. Budgets identify projects by number.
    - `amount`: the amount in whole units of `currency`.
    - `currency`: the billing account's currency; null selects it.
  EOT
  default     = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "budget.billing_account must have the form 012345-6789AB-CDEF01."
  }

  validation {
    condition     = var.budget == null || can(regex("^[0-9]+$", var.budget.project_number))
    error_message = "budget.project_number must be the project number, not the project ID."
  }

  validation {
    condition     = try(var.budget.amount >= 1 && floor(var.budget.amount) == var.budget.amount, var.budget == null)
    error_message = "budget.amount must be a whole number of at least 1."
  }
}
