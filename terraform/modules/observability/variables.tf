variable "gcp_project" {
  type        = string
  description = "Google Cloud project whose logs and metrics are looked at; the same in every module."
  nullable    = false
}

variable "cluster" {
  type        = string
  description = "Name of the cluster: the module cluster's `name`."
  nullable    = false
}

variable "namespaces" {
  type        = map(string)
  description = "Namespaces by Refeed project: what pods elsewhere log alerts nobody."
  nullable    = false

  validation {
    condition     = length(var.namespaces) > 0
    error_message = "namespaces has at least one: without a project there is nothing to look at."
  }
}

variable "argo_namespace" {
  type        = string
  description = "Namespace of Argo's controller, whose silence is an alert; the same as identities' `argo.namespace`."
  default     = "argo"
  nullable    = false
}

variable "emails" {
  type        = set(string)
  description = "Who is told of alerts and of the budget. An analyst is told by the installation's webhook; these are the platform's engineers."
  nullable    = false

  validation {
    condition     = length(var.emails) > 0 && alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+[.][a-z]+$", email))])
    error_message = "emails has at least one address: an alert that reaches nobody is none."
  }
}

variable "silent_minutes" {
  type        = number
  description = "Minutes without a sign of Argo's controller before somebody is told. An upgrade of its node takes about five."
  default     = 20
  nullable    = false

  validation {
    condition     = var.silent_minutes >= 5 && var.silent_minutes <= 1410
    error_message = "silent_minutes is 5 to 1410 (23.5 hours): Cloud Monitoring watches for no longer."
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
    A month's budget of the Google Cloud project; null for none. It tells, and stops nothing.
    - `billing_account`: such as 012345-6789AB-CDEF01. Whoever applies needs roles/billing.costsManager on it.
    - `project_number`: what `gcloud projects describe PROJECT --format='value(projectNumber)'` prints; budgets know
      projects by number.
    - `amount`: whole units of `currency`, which is the billing account's own (null), or must be it.
  EOT
  default     = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "budget.billing_account is such as 012345-6789AB-CDEF01."
  }

  validation {
    condition     = var.budget == null || can(regex("^[0-9]+$", var.budget.project_number))
    error_message = "budget.project_number is the project's number, not its id."
  }

  validation {
    condition     = try(var.budget.amount >= 1 && floor(var.budget.amount) == var.budget.amount, var.budget == null)
    error_message = "budget.amount is a whole number of at least 1."
  }
}
