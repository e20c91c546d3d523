"""The MistralDeployment: what a user may ask for, and what the operator answers.

The models here are the one source of the resource: the CustomResourceDefinition is generated from them, the
command line and the controller read objects through them.
"""
